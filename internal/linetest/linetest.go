// Package linetest has a queue that tells its test what happens in its line, for the tests of what puts queues in front of
// servers.
package linetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
)

// Event is something that happened in a queue's line.
type Event uint8

const (
	Joined Event = iota // a request is in line
	GaveUp              // one is no longer, because its caller gave up
)

// Events are what happens in a queue's line, as it happens.
type Events chan Event

// Await returns when the event has happened n times more.
func (e Events) Await(what Event, n int) {
	for n > 0 {
		if <-e == what {
			n--
		}
	}
}

// line is a queue's line that tells of its events.
type line struct {
	*queue.Line[queue.Ticket]
	events Events
}

func (l line) In(now time.Time, x *queue.Item[queue.Ticket]) error {
	err := l.Line.In(now, x)
	l.events <- Joined
	return err
}

func (l line) Remove(x *queue.Item[queue.Ticket]) bool {
	l.events <- GaveUp
	return l.Line.Remove(x)
}

// Name is what [Queue] calls its queue: a name that callers are not to be told.
const Name = "orders-db-7"

// Queue is a queue in a system of its own, which ends with the test; by then nothing may wait in it.
func Queue(t testing.TB, cfg queue.Config) (*queue.Queue, Events) {
	t.Helper()
	sys, err := penstock.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sys.Close(context.Background())) })
	events := make(Events, 10_000)
	cfg.Behavior = func() queue.Behavior[queue.Ticket] {
		return line{queue.NewLine[queue.Ticket](queue.LineConfig{}), events}
	}
	q, err := queue.Add(sys, Name, cfg)
	require.NoError(t, err)
	return q, events
}

// AtOnce lets n jobs run at the same time.
func AtOnce(n int) []queue.Regulator { return []queue.Regulator{queue.Counter{Limit: n}} }

// Occupy takes a job out of the queue, and returns what gives it back.
func Occupy(t testing.TB, q *queue.Queue) (done func()) {
	t.Helper()
	job, err := q.Ask(context.Background(), queue.Request{})
	require.NoError(t, err)
	return job.Done
}
