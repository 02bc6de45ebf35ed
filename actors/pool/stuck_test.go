package pool

import (
	"context"
	"runtime/pprof"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
)

// ignoring is a function with a name that a stack shows.
func ignoring(b *blocker) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return deafToTheEnd(b) }
}

//go:noinline
func deafToTheEnd(b *blocker) (int, error) {
	<-b.release
	return 0, nil
}

func TestStuckFunctionsAreCountedAndShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		shared := addPool(t, sys, "shared", Config{MaxStuck: 2})
		p := addPool(t, sys, "p", Config{DelegateTo: shared})
		b := newBlocker()
		f := async(t, p, Task{Name: "deaf"}, ignoring(b))
		busy := async(t, p, Task{Name: "busy"}, obedient)
		require.True(t, f.Kill(errOwn))
		_, err := await(f)
		require.ErrorIs(t, err, errOwn)
		require.Zero(t, p.Info().Stuck, "it has a grace")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for _, in := range []*Pool{p, shared} {
			i := in.Info()
			require.Equal(t, 1, i.Stuck)
			require.Equal(t, 2, i.Workers)
			for _, j := range i.Jobs {
				require.Equal(t, j.Name == "deaf", j.Stuck)
				if j.Stuck {
					require.Contains(t, j.Stack, "deafToTheEnd", "the stack says where it is")
					require.NotContains(t, j.Stack, "obedient")
					require.ErrorIs(t, j.Ended, errOwn)
					require.Equal(t, 100*time.Millisecond, j.Age)
				}
			}
		}
		close(b.release)
		busy.Kill(nil)
		synctest.Wait()
		requireEmpty(t, p, shared)
	})
}

func TestTooManyStuckFunctionsLetNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{MaxStuck: 2, MaxWaiting: 1})
		b := newBlocker()
		for range 2 {
			_, err := Run(context.Background(), p, Task{MaxTime: time.Second}, b.run)
			require.Equal(t, "timed out", ending(err))
		}
		time.Sleep(time.Second)
		waits := async(t, p, Task{}, one)
		_, err := Run(context.Background(), p, Task{}, one)
		require.Equal(t, LineFull, reason(t, err))
		require.NoError(t, p.SetMaxWaiting(0))
		_, err = Run(context.Background(), p, Task{}, one)
		require.Equal(t, TooManyStuck, reason(t, err))
		close(b.release)
		_, err = await(waits)
		require.NoError(t, err, "once one has returned there is room")
		synctest.Wait()
		requireEmpty(t, p)
	})
}

// A function's own labels stay, on its goroutine and in its context; the worker's are there beside them.
func TestLabelsOfTheCallerStay(t *testing.T) {
	p := newPool(t, Config{})
	labelled := pprof.WithLabels(context.Background(), pprof.Labels("request", "r1"))
	for _, ctx := range []context.Context{context.Background(), labelled} {
		_, err := Run(ctx, p, Task{}, func(ctx context.Context) (int, error) {
			pool, _ := pprof.Label(ctx, poolLabel)
			require.Equal(t, "test", pool)
			_, ok := pprof.Label(ctx, workerLabel)
			require.True(t, ok)
			return 0, nil
		})
		require.NoError(t, err)
	}
	_, err := Run(labelled, p, Task{}, func(ctx context.Context) (int, error) {
		request, _ := pprof.Label(ctx, "request")
		require.Equal(t, "r1", request)
		return 0, nil
	})
	require.NoError(t, err)
}

func TestParseStacks(t *testing.T) {
	got := parseStacks("goroutine profile: total 4\n" +
		"2 @ 0x1 0x2\n# labels: {\"penstock.pool\":\"a\", \"penstock.worker\":\"7\"}\n#\t0x1\tmain.f+0x1\t/a.go:1\n#\t0x2\tmain.g+0x2\t/a.go:2\n\n" +
		"1 @ 0x3\n#\t0x3\tmain.other+0x3\t/b.go:3\n\n" +
		"1 @ 0x4\n# labels: {\"penstock.worker\":\"x\"}\n#\t0x4\tmain.strange+0x3\t/b.go:3\n\n" +
		"1 @ 0x5\n# labels: {\"penstock.worker\":\"7\"}\n#\t0x5\tmain.child+0x3\t/c.go:3\n")
	require.Equal(t, map[uint64]string{7: "main.f+0x1\t/a.go:1\nmain.g+0x2\t/a.go:2\nmain.child+0x3\t/c.go:3"}, got)
}
