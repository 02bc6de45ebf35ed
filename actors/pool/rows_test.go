package pool

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestP1_RunReturnsWhatTheFunctionDid(t *testing.T) {
	p := newPool(t, Config{})
	n, err := Run(context.Background(), p, Task{}, func(context.Context) (int, error) { return 100, nil })
	require.NoError(t, err)
	require.Equal(t, 100, n)
	_, err = Run(context.Background(), p, Task{}, func(context.Context) (int, error) { return 5, errOwn })
	require.ErrorIs(t, err, errOwn)
	requireEmpty(t, p)
	i := p.Info()
	require.EqualValues(t, 2, i.Started)
	require.EqualValues(t, 1, i.Succeeded)
	require.EqualValues(t, 1, i.Failed)
}

func TestP1_TheFunctionKnowsItsJob(t *testing.T) {
	p := newPool(t, Config{})
	task := Task{Name: "look", MaxMemory: 5, MaxTime: time.Hour, Nice: -3}
	_, err := Run(context.Background(), p, task, func(ctx context.Context) (int, error) {
		j, ok := JobOf(ctx)
		require.True(t, ok)
		require.Equal(t, task, j.Task())
		require.Same(t, p, j.Pool())
		require.Equal(t, "test", j.PoolName())
		require.Equal(t, Goroutine, j.Tier())
		require.NotZero(t, j.Ref())
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.WithinDuration(t, time.Now().Add(time.Hour), deadline, time.Minute)
		return 0, nil
	})
	require.NoError(t, err)
	_, ok := JobOf(context.Background())
	require.False(t, ok)
}

func TestP2_AsyncReturnsAtOnceAndAwaitTheResult(t *testing.T) {
	p := newPool(t, Config{})
	b := newBlocker()
	f := async(t, p, Task{}, b.run)
	select {
	case <-f.Done():
		t.Fatal("it has not been let go")
	default:
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := f.Await(canceled)
	require.ErrorIs(t, err, context.Canceled, "awaiting may be given up")
	close(b.release)
	for range 2 { // and taken up again, by anyone, any number of times
		n, err := await(f)
		require.NoError(t, err)
		require.Equal(t, 7, n)
	}
	requireEmpty(t, p)
}

func TestP2_AsyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 1})
		ctx, cancel := context.WithCancel(context.Background())
		runs, err := Async(ctx, p, Task{}, obedient)
		require.NoError(t, err)
		waits, err := Async(ctx, p, Task{}, obedient)
		require.NoError(t, err)
		cancel()
		_, err = await(runs)
		require.ErrorIs(t, err, context.Canceled)
		_, err = await(waits)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		requireEmpty(t, p)
		require.EqualValues(t, 2, p.Info().GaveUp)
	})
}

func TestP3_MoreWorkersThanThereAreAreRejected(t *testing.T) {
	p := newPool(t, Config{MaxWorkers: 2})
	b := newBlocker()
	first, second := async(t, p, Task{}, b.run), async(t, p, Task{}, b.run)
	_, err := Run(context.Background(), p, Task{Name: "third"}, one)
	require.Equal(t, NoWorkers, reason(t, err))
	require.ErrorIs(t, err, penstock.ErrFull)
	require.EqualError(t, err, `pool "test": task "third" was rejected: no workers available`)
	close(b.release)
	for _, f := range []*Future[int]{first, second} {
		_, err := await(f)
		require.NoError(t, err)
	}
	_, err = Run(context.Background(), p, Task{}, one)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.Info().Rejected[NoWorkers])
}

func TestP3_P4_P5_Defaults(t *testing.T) {
	p := newPool(t, Config{})
	i := p.Info()
	require.Equal(t, 100, i.MaxWorkers)
	require.EqualValues(t, 10<<30, i.MaxMemory)
	_, err := Run(context.Background(), p, Task{}, func(ctx context.Context) (int, error) {
		j, _ := JobOf(ctx)
		require.Equal(t, time.Minute, j.Task().MaxTime)
		require.EqualValues(t, 10<<20, j.Task().MaxMemory)
		require.EqualValues(t, 10<<20, p.Info().Memory)
		return 0, nil
	})
	require.NoError(t, err)
}

func TestP4_MoreMemoryThanThereIsIsRejected(t *testing.T) {
	p := newPool(t, Config{MaxMemory: 100})
	b := newBlocker()
	f := async(t, p, Task{MaxMemory: 60}, b.run)
	_, err := Run(context.Background(), p, Task{MaxMemory: 41}, one)
	var rejected *RejectError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, RejectError{Pool: "test", Reason: NoMemory, Need: 41, Free: 40}, *rejected)
	_, err = Run(context.Background(), p, Task{MaxMemory: 40}, one)
	require.NoError(t, err)
	close(b.release)
	_, err = await(f)
	require.NoError(t, err)
	requireEmpty(t, p)
}

func TestP4_HugeNumbersDoNotOverflow(t *testing.T) {
	p := newPool(t, Config{MaxMemory: math.MaxInt64})
	b := newBlocker()
	f := async(t, p, Task{MaxMemory: math.MaxInt64 - 1}, b.run)
	_, err := Run(context.Background(), p, Task{MaxMemory: math.MaxInt64}, one)
	require.Equal(t, NoMemory, reason(t, err))
	close(b.release)
	_, err = await(f)
	require.NoError(t, err)
}

func TestP5_WhatTakesTooLongIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{})
		began := time.Now()
		_, err := Run(context.Background(), p, Task{Name: "slow", MaxTime: 5 * time.Second}, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
			require.IsType(t, (*TimeoutError)(nil), context.Cause(ctx))
			return 0, ctx.Err()
		})
		require.Equal(t, 5*time.Second, time.Since(began))
		require.EqualError(t, err, `pool "test": task "slow" took more than 5000ms to complete`)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		requireEmpty(t, p)
		require.EqualValues(t, 1, p.Info().TimedOut)
	})
}

// One timer serves all jobs of a pool; each is ended at its own time all the same.
func TestP5_EachJobHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{})
		began := time.Now()
		times := []time.Duration{9, 2, 5, 2, 7, 1, 8, 60}
		futures := make([]*Future[int], len(times))
		for i, d := range times {
			futures[i] = async(t, p, Task{MaxTime: d * time.Second}, obedient)
			time.Sleep(100 * time.Millisecond)
		}
		callers := roomtest.Callers{Ending: ending}
		for i, d := range times {
			callers.Call(func() error {
				_, err := await(futures[i])
				require.Equal(t, d*time.Second+time.Duration(i)*100*time.Millisecond, time.Since(began))
				return err
			})
		}
		callers.Wait()
		require.Equal(t, map[string]int{"timed out": len(times)}, callers.Ended())
	})
}

func TestP6_AGoroutineIsNeitherCappedNorKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1})
		b := newBlocker()
		_, err := Run(context.Background(), p, Task{MaxTime: time.Second, MaxMemory: 1}, b.run)
		require.Equal(t, "timed out", ending(err))
		require.Equal(t, 1, p.Info().Workers, "the function has not returned, and keeps its worker")
		require.EqualValues(t, 1, p.Info().Memory, "and its memory")
		_, err = Run(context.Background(), p, Task{}, one)
		require.Equal(t, NoWorkers, reason(t, err))
		close(b.release)
		synctest.Wait()
		requireEmpty(t, p)
	})
}

func TestP7_ACrashReachesItsCallerAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails at once if a caller is never answered
		p := newPool(t, Config{MaxWorkers: 1})
		_, err := Run(context.Background(), p, Task{}, func(context.Context) (int, error) { panic("boom") })
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		require.Equal(t, "boom", panicked.Value)
		require.Contains(t, string(panicked.Stack), "TestP7_ACrashReachesItsCaller")
		_, err = Run(context.Background(), p, Task{}, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		require.ErrorIs(t, err, ErrGoexit)
		n, err := Run(context.Background(), p, Task{}, one)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		requireEmpty(t, p)
		require.EqualValues(t, 2, p.Info().Panicked)
	})
}

func TestP8_KillEndsAllOfAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 3, MaxWaiting: 2})
		a1, a2 := async(t, p, Task{Name: "a"}, obedient), async(t, p, Task{Name: "a"}, obedient)
		b := async(t, p, Task{Name: "b"}, obedient)
		a3 := async(t, p, Task{Name: "a"}, obedient) // waits
		require.Equal(t, 3, p.Kill("a", nil))
		for _, f := range []*Future[int]{a1, a2, a3} {
			_, err := await(f)
			require.EqualError(t, err, `pool "test": task "a" was killed: the user killed it`)
			require.ErrorIs(t, err, ErrKilled)
		}
		require.Zero(t, p.Kill("a", nil), "they have ended")
		require.Zero(t, p.Kill("nobody", nil))
		require.Equal(t, 1, p.Kill("b", errOwn))
		_, err := await(b)
		require.ErrorIs(t, err, errOwn, "the caller gets the cause that the kill gave")
		synctest.Wait()
		requireEmpty(t, p)
		require.EqualValues(t, 4, p.Info().Killed)
	})
}

func TestP9_KillByReference(t *testing.T) {
	p := newPool(t, Config{})
	f, g := async(t, p, Task{}, obedient), async(t, p, Task{}, obedient)
	require.True(t, p.KillRef(f.Ref(), nil))
	_, err := await(f)
	require.ErrorIs(t, err, ErrKilled)
	require.False(t, p.KillRef(f.Ref(), nil), "there is no such worker any more")
	require.True(t, g.Kill(errOwn))
	require.False(t, g.Kill(nil))
	_, err = await(g)
	require.ErrorIs(t, err, errOwn)
}

func TestP10_FlushEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 5, MaxWaiting: 5})
		var futures []*Future[int]
		for range 10 {
			futures = append(futures, async(t, p, Task{}, obedient))
		}
		require.Equal(t, 10, p.Flush(nil))
		for _, f := range futures {
			_, err := await(f)
			require.ErrorIs(t, err, ErrKilled)
		}
		synctest.Wait()
		requireEmpty(t, p)
		require.Zero(t, p.Flush(nil))
	})
}

func TestP14_BadOptionsAreNamed(t *testing.T) {
	sys := roomtest.System(t)
	other := addPool(t, roomtest.System(t), "other", Config{})
	_, err := New(sys, "p", Config{
		MaxWorkers: -1, MaxMemory: -2, DelegateTo: other, Delegate: func(any) []*Pool { return nil }, PoolTimeout: -1,
		MaxWaiting: -1, MaxWait: -1, MaxStuck: -1, Grace: -1,
	})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, field := range []string{"MaxWorkers is -1", "MaxMemory is -2", "DelegateTo and Delegate", "PoolTimeout is", "MaxWaiting is", "MaxWait is", "MaxStuck is", "Grace is", "another system"} {
		require.ErrorContains(t, err, field)
	}
	_, ok := Get(sys, "p")
	require.False(t, ok, "nothing was started")

	p := addPool(t, sys, "p", Config{})
	for name, task := range map[string]Task{
		"MaxTime":   {MaxTime: -1},
		"MaxMemory": {MaxMemory: -1},
		"Nice":      {Nice: 20},
		"Name":      {Name: strings.Repeat("x", 513)},
	} {
		_, err := Run(context.Background(), p, task, one)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, name+" is")
		_, err = Guard(context.Background(), task, one)
		require.ErrorIs(t, err, penstock.ErrInvalid)
	}
	_, err = Run[int](context.Background(), p, Task{}, nil)
	require.ErrorContains(t, err, "the function is nil")
	require.ErrorIs(t, p.SetMaxWorkers(-1), penstock.ErrInvalid)
	require.Equal(t, 100, p.Info().MaxWorkers)
	requireEmpty(t, p)
}

func TestP15_PoolsHaveNames(t *testing.T) {
	sys := roomtest.System(t)
	_, ok := Get(sys, "p")
	require.False(t, ok)
	p := addPool(t, sys, "p", Config{})
	got, ok := Get(sys, "p")
	require.True(t, ok)
	require.Same(t, p, got)
	require.Equal(t, "p", p.Name())
	_, err := New(sys, "p", Config{})
	require.ErrorIs(t, err, penstock.ErrExists)
	for _, bad := range []string{"", strings.Repeat("x", 513), "\xff"} {
		_, err := New(sys, bad, Config{})
		require.ErrorIs(t, err, penstock.ErrInvalid)
	}
	_, err = New(nil, "p", Config{})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	_, ok = Get(nil, "p")
	require.False(t, ok)
	require.NoError(t, p.Close(context.Background()))
	_, ok = Get(sys, "p")
	require.False(t, ok, "a closed pool's name is free")
	addPool(t, sys, "p", Config{})
	_, err = New(sys, "q", Config{DelegateTo: p})
	require.ErrorIs(t, err, penstock.ErrClosed)
	require.Len(t, Infos(sys), 1)
}

func TestGuardIsRunWithoutAPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := Guard(context.Background(), Task{}, one)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = Guard(context.Background(), Task{Name: "slow", MaxTime: time.Second}, obedient)
		require.EqualError(t, err, `task "slow" took more than 1000ms to complete`)
		_, err = Guard(context.Background(), Task{}, func(context.Context) (int, error) { panic("boom") })
		require.Equal(t, "panic", ending(err))
		_, err = Guard(context.Background(), Task{}, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		require.ErrorIs(t, err, ErrGoexit)
		b := newBlocker()
		_, err = Guard(roomtest.Within(t, time.Second), Task{}, b.run)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the caller does not wait for a function that ignores its context")
		close(b.release)
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = Guard(canceled, Task{}, one)
		require.True(t, errors.Is(err, context.Canceled))
		_, err = Guard(context.Background(), Task{}, func(ctx context.Context) (int, error) {
			j, ok := JobOf(ctx)
			require.True(t, ok)
			require.Nil(t, j.Pool())
			require.Empty(t, j.PoolName())
			return 0, nil
		})
		require.NoError(t, err)
	})
}

// A guarded call leaves no timer behind that would hold its memory for the minute that it might have taken.
func TestG6_AGuardedCallLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &call[int]{fn: one}
		c.done = make(chan struct{}, 1)
		require.NoError(t, c.prepare(context.Background(), nil, Task{}, false, c))
		alone(&c.job)
		require.NoError(t, c.wait(context.Background()))
		require.False(t, c.gate.timer.Stop(), "it has been stopped")
	})
}
