package queue

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// newQueue starts a system with one queue.
func newQueue(t testing.TB, cfg Config, opts ...penstock.Option) *Queue {
	t.Helper()
	return addQueue(t, roomtest.System(t, opts...), "test", cfg)
}

func addQueue(t testing.TB, sys *penstock.System, name string, cfg Config) *Queue {
	t.Helper()
	q, err := Add(sys, name, cfg)
	require.NoError(t, err)
	return q
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

// newCallers counts how calls of queues end: by the reason, if they were refused.
func newCallers() *roomtest.Callers { return &roomtest.Callers{Ending: ending} }

func ending(err error) string {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return refused.Reason.String()
	case errors.Is(err, penstock.ErrInvalid):
		return "invalid"
	}
	return roomtest.Ending(err)
}

// ledger is who was let go when: labels in the order of their turns.
type ledger struct {
	mu     sync.Mutex
	turns  []roomtest.Turn
	labels []string
}

func (l *ledger) add(label string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = append(l.turns, roomtest.Turn{At: time.Now(), Cost: 1})
	l.labels = append(l.labels, label)
}

// worst is the most turns in any window of this length.
func (l *ledger) worst(window time.Duration) int { return roomtest.Worst(l.turns, window) }
