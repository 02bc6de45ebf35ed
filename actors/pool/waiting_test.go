package pool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestG7_WhoWaitsHasItsTurnByNicenessAndThenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 10})
		b := newBlocker()
		async(t, p, Task{}, b.run)
		var order []string
		var futures []*Future[int]
		for _, task := range []Task{{Name: "a"}, {Name: "late", Nice: 5}, {Name: "b"}, {Name: "soon", Nice: -5}, {Name: "c"}} {
			futures = append(futures, async(t, p, task, func(context.Context) (int, error) {
				order = append(order, task.Name) // one at a time runs
				return 0, nil
			}))
		}
		require.Equal(t, 5, p.Info().Waiting)
		close(b.release)
		for _, f := range futures {
			_, err := await(f)
			require.NoError(t, err)
		}
		require.Equal(t, []string{"soon", "a", "b", "c", "late"}, order)
		requireEmpty(t, p)
		require.EqualValues(t, 5, p.Info().Waited)
	})
}

func TestG5_WaitingIsBoundedAndRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 2})
		async(t, p, Task{}, obedient)
		async(t, p, Task{}, obedient)
		async(t, p, Task{}, obedient)
		began := time.Now()
		_, err := Run(context.Background(), p, Task{}, one)
		require.Equal(t, LineFull, reason(t, err))
		require.ErrorIs(t, err, penstock.ErrFull)
		require.Zero(t, time.Since(began))
		require.Equal(t, 3, p.Flush(nil))
	})
}

func TestG5_NobodyWaitsUnlessToldSo(t *testing.T) {
	p := newPool(t, Config{MaxWorkers: 1})
	f := async(t, p, Task{}, obedient)
	_, err := Async(context.Background(), p, Task{}, one)
	require.Equal(t, NoWorkers, reason(t, err))
	f.Kill(nil)
}

func TestP3_WhoHasWaitedForMaxWaitIsRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 2, MaxWait: 3 * time.Second})
		f := async(t, p, Task{}, obedient)
		began := time.Now()
		_, err := Run(context.Background(), p, Task{}, one)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, WaitedTooLong, reason(t, err))
		require.ErrorContains(t, err, "it waited 3s")
		require.Zero(t, p.Info().Waiting)
		f.Kill(nil)
	})
}

// Time is counted from a job's start, not from when it began to wait.
func TestP5_WaitingDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 1})
		async(t, p, Task{MaxTime: 10 * time.Second}, obedient)
		began := time.Now()
		_, err := Run(context.Background(), p, Task{MaxTime: 2 * time.Second}, obedient)
		require.Equal(t, "timed out", ending(err))
		require.Equal(t, 12*time.Second, time.Since(began))
	})
}

func TestP4_AnImpossibleTaskDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxMemory: 100, MaxWaiting: 10})
		_, err := Run(context.Background(), p, Task{MaxMemory: 101}, one)
		require.Equal(t, NoMemory, reason(t, err))
		f := async(t, p, Task{MaxMemory: 50}, obedient)
		waits := async(t, p, Task{MaxMemory: 90}, obedient)
		require.NoError(t, p.SetMaxMemory(80))
		_, err = await(waits)
		require.Equal(t, NoMemory, reason(t, err), "it could never be let in any more")
		f.Kill(nil)
	})
}

func TestLimitsChangeAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 5})
		var futures []*Future[int]
		for range 4 {
			futures = append(futures, async(t, p, Task{}, obedient))
		}
		require.Equal(t, 3, p.Info().Waiting)
		require.NoError(t, p.SetMaxWorkers(3))
		synctest.Wait()
		require.Equal(t, 3, p.Info().Workers, "there is room for two more, who come in at once")
		require.NoError(t, p.SetMaxWorkers(1))
		require.Equal(t, 3, p.Info().Workers, "those who run go on")
		futures[0].Kill(nil)
		futures[1].Kill(nil)
		synctest.Wait()
		require.Equal(t, 1, p.Info().Workers)
		require.Equal(t, 1, p.Info().Waiting, "nobody comes in until there is room by the new limit")
		require.NoError(t, p.SetMaxWaiting(1))
		_, err := Run(context.Background(), p, Task{}, one)
		require.Equal(t, LineFull, reason(t, err))
		require.NoError(t, p.SetMaxWaiting(5))
		require.NoError(t, p.SetMaxWait(time.Second))
		_, err = Run(context.Background(), p, Task{}, one)
		require.Equal(t, WaitedTooLong, reason(t, err))
		require.Equal(t, time.Second, p.Config().MaxWait)
		require.Equal(t, 2, p.Flush(nil))
	})
}

func TestDrainAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxWorkers: 1, MaxWaiting: 5})
		b := newBlocker()
		first := async(t, p, Task{}, b.run)
		waits := async(t, p, Task{}, one)
		require.ErrorIs(t, p.Drain(roomtest.Within(t, time.Second)), context.DeadlineExceeded)
		_, err := Run(context.Background(), p, Task{}, one)
		require.Equal(t, Draining, reason(t, err))
		require.True(t, p.Info().Draining)
		close(b.release)
		require.NoError(t, p.Drain(context.Background()))
		_, err = await(first)
		require.NoError(t, err)
		require.Equal(t, 1, p.Info().Waiting, "who waits stays in line")
		p.Resume()
		n, err := await(waits)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		requireEmpty(t, p)
	})
}

// What a task holds below while it waits further up comes back when it gives up there.
func TestG3_GivingUpAPlaceFurtherUpCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		shared := addPool(t, sys, "shared", Config{MaxWorkers: 1})
		mine := addPool(t, sys, "mine", Config{MaxWorkers: 5, MaxWaiting: 5, DelegateTo: shared})
		f := async(t, shared, Task{}, obedient)
		_, err := Run(roomtest.Within(t, time.Second), mine, Task{}, one)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireEmpty(t, mine)
		require.Equal(t, 1, shared.Info().Workers)
		other := async(t, mine, Task{}, one)
		f.Kill(nil)
		_, err = await(other)
		require.NoError(t, err)
		synctest.Wait()
		requireEmpty(t, mine, shared)
	})
}
