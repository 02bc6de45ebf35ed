package main

import (
	"context"
	"fmt"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/penstock-go/penstock/actors/queue"
)

const (
	runBar       = 4.0 // times a semaphore's
	runAllocsBar = 1.0
	// passLimit is the counter's limit of the rows in which nobody waits.
	passLimit = 10
)

func queueSemaphore(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	q, err := h.counterQueue("bench", passLimit)
	if err != nil {
		return nil, err
	}
	sem := semaphore.NewWeighted(passLimit)
	theirs := side{name: "x/sync/semaphore TryAcquire + Release, which runs no job and recovers no panic", calls: func(_, n int) (refused int) {
		for range n {
			if !sem.TryAcquire(1) {
				refused++
				continue
			}
			sem.Release(1)
		}
		return refused
	}}
	l, err := comparison(ctx, s, "run, free counter queue, against semaphore", 1, runs(ctx, "Run, empty job", nothing, q), theirs, 0)
	if err != nil {
		return nil, err
	}
	l.bar = fmt.Sprintf("≤ %.0f, ≤ %.0f alloc", runBar, runAllocsBar)
	l.met = l.ratio <= runBar && l.allocs <= runAllocsBar+noAllocs
	ask := side{name: "Ask + Done", calls: func(_, n int) (refused int) {
		for range n {
			j, err := q.Ask(ctx, queue.Request{})
			if err != nil {
				refused++
				continue
			}
			j.Done()
		}
		return refused
	}}
	m, err := comparison(ctx, s, "ask and done, free counter queue, against semaphore", 1, ask, theirs, 0)
	return []line{l, m}, err
}

func queueBulkhead(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	q, err := h.counterQueue("bench", passLimit)
	if err != nil {
		return nil, err
	}
	ours := runs(ctx, "Run, empty job", nothing, q)
	b := bulkhead.New[any](passLimit)
	permits := side{name: "failsafe-go bulkhead TryAcquirePermit + ReleasePermit, no job", calls: func(_, n int) (refused int) {
		for range n {
			if !b.TryAcquirePermit() {
				refused++
				continue
			}
			b.ReleasePermit()
		}
		return refused
	}}
	executor := failsafe.With(b).WithContext(ctx)
	executes := side{name: "failsafe-go executor with a bulkhead, Run, empty job", calls: func(_, n int) (refused int) {
		for range n {
			if executor.Run(func() error { return nil }) != nil {
				refused++
			}
		}
		return refused
	}}
	l, err := comparison(ctx, s, "run, free counter queue, against failsafe-go bulkhead, permit", 1, ours, permits, 0)
	if err != nil {
		return nil, err
	}
	m, err := comparison(ctx, s, "run, free counter queue, against failsafe-go bulkhead, Run", 1, ours, executes, 0)
	return []line{l, m}, err
}

func queueAdaptive(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	q, err := queue.Add(h.sys, "bench", queue.Config{Regulators: []queue.Regulator{queue.AdaptiveLimit{}}})
	if err != nil {
		return nil, err
	}
	lim := adaptivelimiter.NewWithDefaults[any]()
	theirs := side{name: "failsafe-go adaptivelimiter TryAcquirePermit + Record, no job", calls: func(_, n int) (refused int) {
		for range n {
			p, ok := lim.TryAcquirePermit()
			if !ok {
				refused++
				continue
			}
			p.Record()
		}
		return refused
	}}
	l, err := comparison(ctx, s, "run, free adaptive queue, against failsafe-go adaptivelimiter", 1, runs(ctx, "Run, empty job", nothing, q), theirs, 0)
	return []line{l}, err
}

// takingTurns is how many rate queues a caller goes through in turn. A rate lets one go each microsecond at most, so a
// caller who comes again at once would measure the rate. By the time this one comes back to a queue that is over.
const takingTurns = 64

// maxRate is the fastest that a rate may be, a second.
const maxRate = 1_000_000

func queueRateWait(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	var queues [takingTurns]*queue.Queue
	var limiters [takingTurns]*rate.Limiter
	for i := range queues {
		cfg := queue.Config{Regulators: []queue.Regulator{queue.Rate{PerSecond: maxRate}}}
		if queues[i], err = queue.Add(h.sys, fmt.Sprint("bench", i), cfg); err != nil {
			return nil, err
		}
		limiters[i] = rate.NewLimiter(maxRate, 1)
	}
	ours := side{name: "Run, empty job", calls: func(_, n int) (refused int) {
		for i := range n {
			if queues[i%takingTurns].Run(ctx, queue.Request{}, nothing) != nil {
				refused++
			}
		}
		return refused
	}}
	theirs := side{name: "x/time/rate Wait, no job", calls: func(_, n int) (refused int) {
		for i := range n {
			if limiters[i%takingTurns].Wait(ctx) != nil {
				refused++
			}
		}
		return refused
	}}
	l, err := comparison(ctx, s, "run, free rate queue, against rate.Wait", 1, ours, theirs, 0)
	if err != nil {
		return nil, err
	}
	var waited, granted uint64
	for _, q := range queues {
		info := q.Info()
		waited, granted = waited+info.Waited, granted+info.Granted
	}
	l.note += fmt.Sprintf("; %d queues in turn, so that each is free again; %d of %d requests waited all the same", takingTurns, waited, granted)
	return []line{l}, nil
}
