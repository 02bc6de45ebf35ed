package pool

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// newPool starts a system with one pool.
func newPool(t testing.TB, cfg Config, opts ...penstock.Option) *Pool {
	t.Helper()
	return addPool(t, roomtest.System(t, opts...), "test", cfg)
}

func addPool(t testing.TB, sys *penstock.System, name string, cfg Config) *Pool {
	t.Helper()
	p, err := New(sys, name, cfg)
	require.NoError(t, err)
	return p
}

// one is a function that returns at once.
func one(context.Context) (int, error) { return 1, nil }

// blocker is a function that runs until it is let go, whatever becomes of its context.
type blocker struct {
	started chan struct{}
	release chan struct{}
}

func newBlocker() *blocker {
	return &blocker{started: make(chan struct{}, 1000), release: make(chan struct{})}
}

func (b *blocker) run(context.Context) (int, error) {
	b.started <- struct{}{}
	<-b.release
	return 7, nil
}

// obedient is a function that runs until its context ends.
func obedient(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

// async starts a job and fails the test if that fails.
func async(t testing.TB, p *Pool, task Task, fn func(context.Context) (int, error)) *Future[int] {
	t.Helper()
	f, err := Async(context.Background(), p, task, fn)
	require.NoError(t, err)
	return f
}

// await is what became of a job.
func await[T any](f *Future[T]) (T, error) { return f.Await(context.Background()) }

// crash makes the pool's actor panic, in the middle of its work and under the lock, if there is anything in the pool.
func crash(p *Pool) {
	once := false
	p.seat.Send(&kill{gate: p.gate(), killed: make(chan int, 1), which: func(*job) bool {
		if !once {
			once = true
			panic("crashed")
		}
		return false
	}})
}

// errOwn is an error of a function.
var errOwn = errors.New("the function's own error")

// ending names what became of a call.
func ending(err error) string {
	var panicked *penstock.PanicError
	var rejected *RejectError
	var timedOut *TimeoutError
	var killed *KilledError
	switch {
	case err == nil:
		return "value"
	case errors.As(err, &rejected):
		return rejected.Reason.String()
	case errors.As(err, &timedOut):
		return "timed out"
	case errors.As(err, &killed):
		return "killed"
	case errors.Is(err, errOwn):
		return "error"
	case errors.Is(err, ErrGoexit):
		return "goexit"
	case errors.As(err, &panicked):
		return "panic"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "gave up"
	case errors.Is(err, penstock.ErrClosed):
		return "closed"
	}
	return roomtest.Other
}

// requireEmpty fails the test unless everything has come back to the pools.
func requireEmpty(t testing.TB, pools ...*Pool) {
	t.Helper()
	for _, p := range pools {
		i := p.Info()
		require.Zero(t, i.Workers, "workers of %s", p.name)
		require.Zero(t, i.Memory, "memory of %s", p.name)
		require.Zero(t, i.Waiting, "waiting in %s", p.name)
		require.Zero(t, i.Stuck, "stuck in %s", p.name)
		require.Empty(t, i.Jobs, "jobs of %s", p.name)
	}
}

// reason is why the task was rejected.
func reason(t testing.TB, err error) Reason {
	t.Helper()
	var rejected *RejectError
	require.ErrorAs(t, err, &rejected)
	return rejected.Reason
}
