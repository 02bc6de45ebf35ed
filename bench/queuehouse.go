package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
)

// nothing is a job that does nothing, so that a row measures what it costs to let it go.
func nothing(context.Context) error { return nil }

// yields is a job that lets others run before it is done. On a few cores an empty job is over before anybody else comes;
// with this one a counter's room is really taken while others ask, and they have to wait.
func yields(context.Context) error {
	runtime.Gosched()
	return nil
}

// counterQueue adds a queue with a counter.
func (h *house) counterQueue(name string, limit int) (*queue.Queue, error) {
	return queue.Add(h.sys, name, queue.Config{Regulators: []queue.Regulator{queue.Counter{Limit: limit}}})
}

// runs is a side that runs the job through queues, which callers take in turn, each beginning with its own.
func runs(ctx context.Context, name string, job func(context.Context) error, queues ...*queue.Queue) side {
	return side{name: name, calls: func(worker, n int) (refused int) {
		q := queues[worker%len(queues)]
		for range n {
			if q.Run(ctx, queue.Request{}, job) != nil {
				refused++
			}
		}
		return refused
	}}
}

// watched is a queue's own line, which keeps when who waited was let go. That is exact: the queue tells its line the time
// by which it reckons. Read it when nobody is in the queue.
type watched struct {
	*queue.Line[queue.Ticket]
	went []time.Time // as many as there is capacity for
}

// watch puts the watched line into a queue's configuration.
func watch(cfg queue.Config, times int) (queue.Config, *watched) {
	w := &watched{Line: queue.NewLine[queue.Ticket](queue.LineConfig{Order: cfg.Order}), went: make([]time.Time, 0, times)}
	cfg.Order = queue.FIFO // it is the line's now
	cfg.Behavior = func() queue.Behavior[queue.Ticket] { return w }
	return cfg, w
}

func (w *watched) Out(now time.Time) (*queue.Item[queue.Ticket], bool) {
	if len(w.went) < cap(w.went) {
		w.went = append(w.went, now)
	}
	return w.Line.Out(now)
}

// waited says how many of the queue's requests waited, of those it let go.
func waited(q *queue.Queue) string {
	info := q.Info()
	return fmt.Sprintf("%.1f %% of the requests waited in line", 100*float64(info.Waited)/float64(max(1, info.Granted)))
}
