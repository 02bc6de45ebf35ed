package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
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

// newQueue starts a system with one queue.
func newQueue(t testing.TB, cfg Config, opts ...penstock.Option) *Queue {
	t.Helper()
	return addQueue(t, newSystem(t, opts...), "test", cfg)
}

func addQueue(t testing.TB, sys *penstock.System, name string, cfg Config) *Queue {
	t.Helper()
	q, err := Add(sys, name, cfg)
	require.NoError(t, err)
	return q
}

// deterministic makes one order of events out of many.
func deterministic() penstock.Option {
	return penstock.WithDispatcher(actor.NewSynchronizedDispatcher(300))
}

// crash makes the queue's actor panic, in the middle of its work and under the gate's locks.
func crash(q *Queue) {
	g := &q.entry.Value
	g.lock()
	if _, armed := g.state.line.(bomb); !armed {
		g.state.line = bomb{g.state.line, g}
	}
	g.unlock(false)
	q.send(wake{g})
}

// bomb is a line that panics once when the actor looks at it.
type bomb struct {
	Behavior[Ticket]
	gate *gate
}

func (b bomb) TimedOut(time.Time, time.Duration) []*Item[Ticket] {
	b.gate.state.line = b.Behavior
	panic("crashed")
}

// nothing is a job that does nothing.
func nothing(context.Context) error { return nil }

// ask asks and fails the test if that fails.
func ask(t testing.TB, q *Queue, r Request) *Job {
	t.Helper()
	j, err := q.Ask(context.Background(), r)
	require.NoError(t, err)
	return j
}

// within is a context that ends after d of virtual time. Its timer ends with the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
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
	c.wg.Go(func() {
		err := fn()
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
	})
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

func ending(err error) string {
	var panicked *penstock.PanicError
	var gaveUp *supervisor.GaveUpError
	var refused *RefusedError
	switch {
	case err == nil:
		return "granted"
	case errors.As(err, &refused):
		return refused.Reason.String()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "gave up"
	case errors.Is(err, penstock.ErrClosed):
		return "closed"
	case errors.As(err, &gaveUp):
		return "given up"
	case errors.As(err, &panicked):
		return "panicked"
	case errors.Is(err, penstock.ErrInvalid):
		return "invalid"
	}
	return "other"
}

// ledger is who was let go when: labels in the order of their turns.
type ledger struct {
	mu     sync.Mutex
	times  []time.Time
	labels []string
}

func (l *ledger) add(label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, time.Now())
	l.labels = append(l.labels, label)
}

// worst is the most turns in any half-open window of this length.
func (l *ledger) worst(window time.Duration) (most int) {
	times := slices.SortedFunc(slices.Values(l.times), time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// seeds is how many random runs a test makes.
func seeds() uint64 {
	if testing.Short() {
		return 5
	}
	return 20
}
