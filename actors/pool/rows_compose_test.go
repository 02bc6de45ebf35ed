package pool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestP11_APoolTakesFromThoseAboveToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		top := addPool(t, sys, "top", Config{MaxMemory: 100, MaxWorkers: 3})
		middle := addPool(t, sys, "middle", Config{MaxMemory: 80, DelegateTo: top})
		left := addPool(t, sys, "left", Config{MaxMemory: 50, DelegateTo: middle})
		right := addPool(t, sys, "right", Config{MaxMemory: 50, DelegateTo: middle})
		l := async(t, left, Task{Name: "l", MaxMemory: 50}, obedient)
		for _, p := range []*Pool{left, middle, top} {
			require.EqualValues(t, 50, p.Info().Memory)
			require.Equal(t, "left", p.Info().Jobs[0].Pool)
		}
		_, err := Run(context.Background(), right, Task{MaxMemory: 40}, one)
		var rejected *RejectError
		require.ErrorAs(t, err, &rejected)
		require.Equal(t, "middle", rejected.Pool, "the error names the pool that had no room")
		require.EqualValues(t, 30, rejected.Free)
		requireEmpty(t, right)
		r := async(t, right, Task{Name: "r", MaxMemory: 30}, obedient)
		direct := async(t, top, Task{Name: "d", MaxMemory: 20}, obedient)
		require.EqualValues(t, 100, top.Info().Memory)

		require.Equal(t, 1, top.Kill("l", nil), "a kill goes down")
		_, err = await(l)
		require.ErrorIs(t, err, ErrKilled)
		synctest.Wait()
		require.EqualValues(t, 50, top.Info().Memory)
		requireEmpty(t, left)
		require.Zero(t, left.Kill("r", nil), "but not to the side")
		require.Zero(t, middle.Kill("d", nil), "nor up")
		require.Equal(t, 1, middle.Flush(nil))
		_, err = await(r)
		require.ErrorIs(t, err, ErrKilled)
		require.Equal(t, 1, top.Flush(nil))
		_, err = await(direct)
		require.ErrorIs(t, err, ErrKilled)
		synctest.Wait()
		requireEmpty(t, top, middle, left, right)
	})
}

func TestP12_AFunctionPicksThePools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		x := addPool(t, sys, "x", Config{MaxWorkers: 1})
		y := addPool(t, sys, "y", Config{MaxWorkers: 1})
		pick := addPool(t, sys, "pick", Config{Delegate: func(param any) []*Pool {
			switch param {
			case "x":
				return []*Pool{x}
			case "both":
				return []*Pool{x, nil, y}
			}
			return nil
		}})
		first := async(t, pick, Task{Param: "both"}, obedient)
		require.Equal(t, 1, x.Info().Workers)
		second := async(t, pick, Task{Param: "both"}, obedient)
		require.Equal(t, 1, y.Info().Workers)
		_, err := Run(context.Background(), pick, Task{Param: "both"}, one)
		require.Equal(t, NoWorkers, reason(t, err))
		_, err = Run(context.Background(), pick, Task{Param: "nobody"}, one)
		require.Equal(t, NoPools, reason(t, err))
		require.ErrorContains(t, err, "no pools available")
		require.Equal(t, 2, pick.Flush(nil))
		for _, f := range []*Future[int]{first, second} {
			_, err := await(f)
			require.ErrorIs(t, err, ErrKilled)
		}
		synctest.Wait()
		requireEmpty(t, pick, x, y)

		require.NoError(t, x.Close(context.Background()))
		_, err = Run(context.Background(), pick, Task{Param: "both"}, one)
		require.NoError(t, err, "pools that are no more are passed by")
		_, err = Run(context.Background(), pick, Task{Param: "x"}, one)
		require.Equal(t, NoPools, reason(t, err))
		require.EqualValues(t, 2, pick.Info().Rejected[NoPools])
	})
}

func TestP12_AClosedPoolAsksNobody(t *testing.T) {
	sys := roomtest.System(t)
	asked := false
	p := addPool(t, sys, "p", Config{Delegate: func(any) []*Pool { asked = true; return nil }})
	require.NoError(t, p.Close(context.Background()))
	_, err := Run(context.Background(), p, Task{}, one)
	require.Equal(t, Closed, reason(t, err))
	require.False(t, asked)
}

func TestP13_ADelegateFunctionThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		hung := make(chan struct{})
		p := addPool(t, sys, "p", Config{MaxWorkers: 2, Delegate: func(any) []*Pool { <-hung; return nil }})
		began := time.Now()
		for range 2 {
			_, err := Run(context.Background(), p, Task{}, one)
			require.Equal(t, PoolTimeout, reason(t, err))
		}
		require.Equal(t, 2*time.Second, time.Since(began), "1s each, by default")
		_, err := Run(context.Background(), p, Task{}, one)
		require.Equal(t, PoolTimeout, reason(t, err))
		require.Equal(t, 2*time.Second, time.Since(began), "no more goroutines hang there than may run")
		close(hung)
		synctest.Wait()
		_, err = Run(context.Background(), p, Task{}, one)
		require.Equal(t, NoPools, reason(t, err))
	})
}
