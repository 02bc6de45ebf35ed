package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func send(t testing.TB, p *Pool, task Task, fn func(context.Context) (string, error)) *Future[string] {
	t.Helper()
	f, err := Async(context.Background(), p, task, fn)
	require.NoError(t, err)
	return f
}

func TestTheFirstPoolWithRoomTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b", "c")
		b, c := g.pool("b", Config{MaxWorkers: 1}), g.pool("c", Config{MaxWorkers: 1})
		here := addPool(t, g.sys("a"), "here", Config{MaxWorkers: 1})
		candidates := []*Pool{g.at("a", "b"), g.at("a", "c"), here}
		p := addPool(t, g.sys("a"), "p", Config{Delegate: func(any) []*Pool { return candidates }})
		h := newHolder()
		hold := deed(t, "hold", h.run)
		var held []*Future[string]
		for range 3 {
			held = append(held, send(t, p, Task{Name: "held"}, hold))
			synctest.Wait()
			time.Sleep(10 * gridDelay)
		}
		now, _ := h.counts()
		require.Equal(t, 3, now)
		require.Equal(t, []int{1, 1, 1}, []int{b.Info().Workers, c.Info().Workers, here.Info().Workers})
		require.Equal(t, 1, b.Info().Hosted)
		require.Equal(t, "a", b.Info().Jobs[0].From)
		info := p.Info()
		require.Equal(t, []int{3, 2}, []int{info.Workers, info.Far})
		nodes := map[string]int{}
		for _, j := range info.Jobs {
			nodes[j.Node]++
		}
		require.Equal(t, map[string]int{"b": 1, "c": 1, "": 1}, nodes)

		_, err := Run(context.Background(), p, Task{}, hold)
		require.Equal(t, NoWorkers, reason(t, err))
		require.Equal(t, uint64(1), p.Info().Rejected[NoWorkers])
		close(h.release)
		for _, f := range held {
			v, err := await(f)
			require.NoError(t, err)
			require.Equal(t, "held", v)
		}
		synctest.Wait()
		requireEmpty(t, append(candidates, p, b, c)...)
		require.Equal(t, uint64(3), p.Info().Succeeded)
		require.Equal(t, uint64(3), p.Info().Started)
	})
}

func TestAFunctionThatDoesNotTravelStaysHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		b := g.pool("b", Config{})
		far := g.at("a", "b")
		only := addPool(t, g.sys("a"), "only", Config{DelegateTo: far})
		_, err := Run(context.Background(), only, Task{}, one)
		require.Equal(t, Unregistered, reason(t, err))
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, `node "b": pool "work"`)
		here := addPool(t, g.sys("a"), "here", Config{})
		both := addPool(t, g.sys("a"), "both", Config{Delegate: func(any) []*Pool { return []*Pool{far, here} }})
		n, err := Run(context.Background(), both, Task{}, one)
		require.NoError(t, err)
		require.Equal(t, 1, n)

		unknown := deedOf("nobody has it", nil)
		_, err = Run(context.Background(), only, Task{}, unknown)
		require.Equal(t, Unregistered, reason(t, err))
		require.Equal(t, uint64(1), b.Info().Rejected[Unregistered])

		large := deedOf("large", make([]byte, maxTravel+1))
		_, err = Run(context.Background(), only, Task{}, large)
		require.Equal(t, TooLarge, reason(t, err))
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, fmt.Sprint(maxTravel))
		answer := deed(t, "answer", func(context.Context) ([]byte, error) { return make([]byte, maxTravel+1), nil })
		_, err = Run(context.Background(), only, Task{}, answer)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, fmt.Sprint(maxTravel))
		synctest.Wait()
		requireEmpty(t, b, far, only, here, both)
	})
}

func TestATaskWaitsForAPoolOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		b := g.pool("b", Config{MaxWorkers: 1, MaxWaiting: 2})
		far := g.at("a", "b")
		p := addPool(t, g.sys("a"), "p", Config{DelegateTo: far, MaxWaiting: 5, MaxWait: 10 * time.Second})
		h := newHolder()
		hold := deed(t, "hold", h.run)
		first := send(t, p, Task{}, hold)
		time.Sleep(time.Second)
		second := send(t, p, Task{MaxTime: time.Second}, hold)
		time.Sleep(5 * time.Second)
		require.Equal(t, 1, b.Info().Waiting)
		h.release <- struct{}{}
		_, err := await(first)
		require.NoError(t, err)
		time.Sleep(900 * time.Millisecond) // its time began when it had its room
		h.release <- struct{}{}
		_, err = await(second)
		require.NoError(t, err)

		first = send(t, p, Task{}, hold)
		time.Sleep(time.Second)
		asked := time.Now()
		_, err = Run(context.Background(), p, Task{}, hold)
		require.Equal(t, WaitedTooLong, reason(t, err))
		require.InDelta(t, 10, time.Since(asked).Seconds(), 0.1)
		near := addPool(t, g.sys("a"), "near", Config{MaxWorkers: 1})
		both := addPool(t, g.sys("a"), "both", Config{Delegate: func(any) []*Pool { return []*Pool{far, near} }, MaxWaiting: 5})
		fourth := send(t, both, Task{}, hold)
		time.Sleep(time.Second)
		fifth := send(t, both, Task{}, hold) // it waits here, and not there
		time.Sleep(time.Second)
		require.Equal(t, []int{1, 0}, []int{both.Info().Waiting, b.Info().Waiting})
		close(h.release)
		for _, f := range []*Future[string]{first, fourth, fifth} {
			_, err := await(f)
			require.NoError(t, err)
		}
		synctest.Wait()
		requireEmpty(t, b, far, p, near, both)
	})
}

func TestEndingsComeFromTheOtherNode(t *testing.T) {
	own := errors.New("the function's own error")
	for name, c := range map[string]struct {
		fn    func(context.Context) ([]byte, error)
		check func(t *testing.T, err error)
	}{
		"own": {func(context.Context) ([]byte, error) { return nil, own }, func(t *testing.T, err error) {
			require.ErrorContains(t, err, own.Error())
		}},
		"remote": {func(context.Context) ([]byte, error) { return nil, &RemoteError{Message: "no", kind: context.Canceled} }, func(t *testing.T, err error) {
			var e *RemoteError
			require.ErrorAs(t, err, &e)
			require.Equal(t, []string{"b", "no"}, []string{e.Node, e.Message})
			require.ErrorIs(t, err, context.Canceled)
		}},
		"panic": {func(context.Context) ([]byte, error) { panic("boom") }, func(t *testing.T, err error) {
			var e *penstock.PanicError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "boom", e.Value)
			require.Contains(t, string(e.Stack), "far_test.go")
		}},
		"goexit": {func(context.Context) ([]byte, error) { runtime.Goexit(); return nil, nil }, func(t *testing.T, err error) {
			require.ErrorIs(t, err, ErrGoexit)
		}},
		"timeout": {func(context.Context) ([]byte, error) { return nil, &TimeoutError{Pool: "work", After: time.Second} }, func(t *testing.T, err error) {
			var e *TimeoutError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "b", e.Node)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}},
		"memory": {func(context.Context) ([]byte, error) {
			return nil, &MemoryError{Tier: Process, Limit: 7, Detail: "why"}
		}, func(t *testing.T, err error) {
			var e *MemoryError
			require.ErrorAs(t, err, &e)
			require.Equal(t, MemoryError{Node: "b", Pool: "work", Task: "x", Tier: Process, Limit: 7, Detail: "why"}, *e)
		}},
		"crash": {func(context.Context) ([]byte, error) {
			return nil, &CrashError{ExitCode: -1, Signal: "killed", Stderr: "oh"}
		}, func(t *testing.T, err error) {
			var e *CrashError
			require.ErrorAs(t, err, &e)
			require.Equal(t, CrashError{Node: "b", Pool: "work", Task: "x", ExitCode: -1, Signal: "killed", Stderr: "oh"}, *e)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGrid(t, "a", "b")
				b, far := g.pool("b", Config{}), g.at("a", "b")
				_, err := Run(context.Background(), far, Task{Name: "x"}, deed(t, "x", c.fn))
				require.Error(t, err)
				c.check(t, err)
				require.Contains(t, err.Error(), map[bool]string{true: "no", false: `node "b"`}[name == "remote"])
				synctest.Wait()
				requireEmpty(t, b, far)
			})
		})
	}
}

func TestG10_KillsReachTheOtherNode(t *testing.T) {
	cause := errors.New("enough")
	for name, end := range map[string]func(p, far, b *Pool, cancel context.CancelFunc){
		"kill":    func(p, _, _ *Pool, _ context.CancelFunc) { p.Kill("x", cause) },
		"flush":   func(p, _, _ *Pool, _ context.CancelFunc) { p.Flush(cause) },
		"above":   func(_, far, _ *Pool, _ context.CancelFunc) { far.Flush(cause) },
		"there":   func(_, _, b *Pool, _ context.CancelFunc) { b.Kill("x", cause) },
		"give up": func(_, _, _ *Pool, cancel context.CancelFunc) { cancel() },
		"time":    func(*Pool, *Pool, *Pool, context.CancelFunc) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGrid(t, "a", "b")
				b, far := g.pool("b", Config{}), g.at("a", "b")
				p := addPool(t, g.sys("a"), "p", Config{DelegateTo: far})
				h := newHolder()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				f, err := Async(ctx, p, Task{Name: "x", MaxTime: 10 * time.Second}, deed(t, "hold", h.run))
				require.NoError(t, err)
				time.Sleep(time.Second)
				now, _ := h.counts()
				require.Equal(t, 1, now)
				end(p, far, b, cancel)
				_, err = await(f)
				time.Sleep(time.Second)
				now, _ = h.counts()
				require.Zero(t, now, "it goes on")
				switch name {
				case "give up":
					require.ErrorIs(t, err, context.Canceled)
				case "time":
					var e *TimeoutError
					require.ErrorAs(t, err, &e)
					require.Equal(t, "b", e.Node)
					require.Equal(t, uint64(1), p.Info().TimedOut)
				default:
					var e *KilledError
					require.ErrorAs(t, err, &e)
					require.ErrorContains(t, err, cause.Error())
					require.Equal(t, uint64(1), p.Info().Killed)
				}
				requireEmpty(t, p, far, b)
			})
		})
	}
}

func TestG10_WhoeverIsGoneNeedsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		b, far := g.pool("b", Config{MaxWorkers: 2}), g.at("a", "b")
		h := newHolder()
		f := send(t, far, Task{}, deed(t, "hold", h.run))
		time.Sleep(time.Second)
		require.Equal(t, 1, b.Info().Workers)
		g.lose("a")
		time.Sleep(time.Second)
		now, _ := h.counts()
		require.Zero(t, now, "it goes on though nobody waits for it")
		requireEmpty(t, b)
		_, err := await(f)
		require.ErrorIs(t, err, cluster.ErrUnknown)
	})
}

func TestG10_WhatIsLostIsNotRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b", "c")
		g.pool("b", Config{})
		c := g.pool("c", Config{})
		candidates := []*Pool{g.at("a", "b"), g.at("a", "c")}
		p := addPool(t, g.sys("a"), "p", Config{Delegate: func(any) []*Pool { return candidates }, MaxWaiting: 10})
		h := newHolder()
		hold := deed(t, "hold", h.run)
		f := send(t, p, Task{Name: "x"}, hold)
		time.Sleep(time.Second)
		g.lose("b")
		time.Sleep(time.Second)
		_, began := h.counts()
		require.Equal(t, 1, began)
		_, err := await(f)
		var lost *LostError
		require.ErrorAs(t, err, &lost)
		require.ErrorIs(t, err, cluster.ErrUnknown)
		require.Equal(t, []string{"b", "work", "x"}, []string{lost.Node, lost.Pool, lost.Task})
		require.Equal(t, uint64(1), p.Info().Failed)

		f = send(t, p, Task{}, hold) // who is known to be away is passed by
		time.Sleep(time.Second)
		require.Equal(t, 1, c.Info().Workers)
		g.lose("c")
		_, err = await(f)
		require.ErrorAs(t, err, &lost)
		_, err = Run(context.Background(), p, Task{}, hold)
		require.Equal(t, Away, reason(t, err))
		require.ErrorIs(t, err, cluster.ErrAway)
		synctest.Wait()
		requireEmpty(t, append(candidates, p, c)...)
	})
}

func TestATaskTravelsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		a := addPool(t, g.sys("a"), "work", Config{DelegateTo: g.at("a", "b"), Clustered: true})
		b := addPool(t, g.sys("b"), "work", Config{DelegateTo: g.at("b", "a"), Clustered: true})
		fn := deed(t, "x", func(context.Context) ([]byte, error) { return nil, nil })
		_, err := Run(context.Background(), a, Task{}, fn)
		require.Equal(t, NoPools, reason(t, err))
		require.Equal(t, 1, g.asked)
		synctest.Wait()
		requireEmpty(t, a, b)
	})
}

func TestPoolsOfOtherNodesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		sys := g.sys("a")
		far := g.at("a", "b")
		require.Same(t, far, g.at("a", "b"))
		require.Equal(t, "work@b", far.Name())
		_, err := At(sys, "a", "work")
		require.ErrorIs(t, err, penstock.ErrInvalid)
		_, err = At(sys, "b", "")
		require.ErrorIs(t, err, penstock.ErrInvalid)
		addPool(t, sys, "mine@b", Config{})
		_, err = At(sys, "b", "mine")
		require.ErrorIs(t, err, penstock.ErrExists)
		_, err = New(roomtest.System(t), "x", Config{Clustered: true})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, "cluster.Join")

		fn := deed(t, "x", func(context.Context) ([]byte, error) { return []byte("x"), nil })
		_, err = Run(context.Background(), far, Task{}, fn)
		require.Equal(t, Away, reason(t, err))
		b := g.pool("b", Config{})
		_, err = Run(context.Background(), far, Task{}, fn)
		require.NoError(t, err)
		require.NoError(t, b.Close(context.Background()))
		_, err = Run(context.Background(), far, Task{}, fn)
		require.Equal(t, Away, reason(t, err))
		require.NoError(t, far.Close(context.Background()))
		require.Empty(t, g.nodes["a"].hear)
		require.NotSame(t, far, g.at("a", "b"))
	})
}
