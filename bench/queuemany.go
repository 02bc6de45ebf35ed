package main

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock/actors/queue"
)

const (
	manyQueues = 8
	manyBar    = 1.1 // times the CPU time of one queue's job
)

// queueMany compares several queues under load with one. What it judges is the CPU time of a job when each of them has as
// many callers, and as much room, as the one: if there were a server that all of them wait for, it would rise. For
// information it also gives them together what the one has, so that each has little to do at a time.
func queueMany(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	single, err := h.counterQueue("single", crowdLimit)
	if err != nil {
		return nil, err
	}
	var full, private, sharing []*queue.Queue
	if err := queue.AddCounter(h.sys, "shared", queue.Counter{Limit: crowdLimit}); err != nil {
		return nil, err
	}
	for i := range manyQueues {
		q, err := h.counterQueue(fmt.Sprint("full", i), crowdLimit)
		if err != nil {
			return nil, err
		}
		full = append(full, q)
		if q, err = h.counterQueue(fmt.Sprint("private", i), crowdLimit/manyQueues); err != nil {
			return nil, err
		}
		private = append(private, q)
		q, err = queue.Add(h.sys, fmt.Sprint("sharing", i), queue.Config{Regulators: []queue.Regulator{queue.NamedCounter("shared", 1)}})
		if err != nil {
			return nil, err
		}
		sharing = append(sharing, q)
	}
	alike := runs(ctx, fmt.Sprintf("one queue, counter %d", crowdLimit), yields, single)
	busy := runs(ctx, fmt.Sprintf("%d queues, counter %d each", manyQueues, crowdLimit), yields, full...)
	busy.workers = manyQueues * s.callers
	l, err := comparison(ctx, s, fmt.Sprintf("%d counter queues, %d callers each, against one such queue", manyQueues, s.callers), s.callers, busy, alike, 0)
	if err != nil {
		return nil, err
	}
	l.bar, l.met = fmt.Sprintf("cpu ≤ %.2f", manyBar), l.cpu <= manyBar
	l.note += "; jobs yield once; in the first of the queues " + waited(full[0])
	what := fmt.Sprintf("%d counter queues, %d callers in all, against one queue", manyQueues, s.callers)
	m, err := comparison(ctx, s, what, s.callers,
		runs(ctx, fmt.Sprintf("%d queues, counter %d each", manyQueues, crowdLimit/manyQueues), yields, private...), alike, 0)
	if err != nil {
		return nil, err
	}
	n, err := comparison(ctx, s, what+", sharing a counter", s.callers,
		runs(ctx, fmt.Sprintf("%d queues, one NamedCounter %d", manyQueues, crowdLimit), yields, sharing...), alike, 0)
	return []line{l, m, n}, err
}

// queueSharing is what it costs that a counter is not a queue's own.
func queueSharing(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	if err := queue.AddCounter(h.sys, "shared", queue.Counter{Limit: passLimit}); err != nil {
		return nil, err
	}
	var private, sharing []*queue.Queue
	for i := range 2 {
		q, err := h.counterQueue(fmt.Sprint("private", i), passLimit)
		if err != nil {
			return nil, err
		}
		private = append(private, q)
		q, err = queue.Add(h.sys, fmt.Sprint("sharing", i), queue.Config{Regulators: []queue.Regulator{queue.NamedCounter("shared", 1)}})
		if err != nil {
			return nil, err
		}
		sharing = append(sharing, q)
	}
	for _, callers := range []int{1, len(private)} { // the second has a queue of his own, and shares the counter only
		l, err := comparison(ctx, s, fmt.Sprintf("run, free counter of two queues, against one's own, callers: %d", callers), callers,
			runs(ctx, "Run, NamedCounter", nothing, sharing...), runs(ctx, "Run, Counter", nothing, private...), 0)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}
