package main

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock/actors/queue"
)

// queuePassive puts an item into a passive queue and takes it out again, beside a channel with room.
func queuePassive(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	p, err := queue.AddPassive(h.sys, "bench", queue.PassiveConfig[int]{})
	if err != nil {
		return nil, err
	}
	ours := side{name: "Enqueue + Dequeue(1)", calls: func(worker, n int) (refused int) {
		for range n {
			if p.Enqueue(ctx, worker) != nil {
				refused++
				continue
			}
			if items, err := p.Dequeue(ctx, 1); err != nil || len(items) != 1 {
				refused++
			}
		}
		return refused
	}}
	const room = 10_000 // as the queue has
	items := make(chan int, room)
	theirs := side{name: "a buffered channel, send + receive", calls: func(worker, n int) (refused int) {
		for range n {
			items <- worker
			<-items
		}
		return refused
	}}
	for _, callers := range []int{1, s.callers} {
		l, err := comparison(ctx, s, fmt.Sprintf("passive queue, in and out, %d callers, against a channel", callers), callers, ours, theirs, 0)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}
