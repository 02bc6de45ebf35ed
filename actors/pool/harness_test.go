package pool

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

// bubble runs a test in virtual time. Time stands still while anything runs.
func bubble(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, run)
}

// newSystem starts a system and closes it at the end of the test if the test has not.
func newSystem(t testing.TB, opts ...penstock.Option) *penstock.System {
	t.Helper()
	sys, err := penstock.New(opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = sys.Close(ctx)
	})
	return sys
}

// newPool starts a system with one pool.
func newPool(t testing.TB, cfg Config, opts ...penstock.Option) *Pool {
	t.Helper()
	return addPool(t, newSystem(t, opts...), "test", cfg)
}

func addPool(t testing.TB, sys *penstock.System, name string, cfg Config) *Pool {
	t.Helper()
	p, err := New(sys, name, cfg)
	require.NoError(t, err)
	return p
}

// deterministic makes one order of events out of many.
func deterministic() penstock.Option {
	return penstock.WithDispatcher(actor.NewSynchronizedDispatcher(300))
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
	p.send(&kill{gate: p.gate(), killed: make(chan int, 1), which: func(*job) bool {
		if !once {
			once = true
			panic("crashed")
		}
		return false
	}})
}

// callers counts calls that were made and how they ended.
type callers struct {
	wg      sync.WaitGroup
	mu      sync.Mutex
	ends    map[string]int
	strange []error
}

// call makes a call on a goroutine of its own.
func (c *callers) call(fn func() error) {
	c.wg.Go(func() { c.note(fn()) })
}

func (c *callers) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = make(map[string]int)
	}
	end := ending(err)
	c.ends[end]++
	if end == "other" {
		c.strange = append(c.strange, err)
	}
}

// ended is how the calls so far ended.
func (c *callers) ended() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}

func (c *callers) total() (n int) {
	for _, k := range c.ended() {
		n += k
	}
	return n
}

// errOwn is an error of a function.
var errOwn = errors.New("the function's own error")

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
	return "other"
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

// within is a context that ends after d of virtual time. Its timer ends with the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
