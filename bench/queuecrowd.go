package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/penstock-go/penstock/actors/queue"
)

const (
	crowdBar   = 2000 // ns a job
	crowdLimit = 8    // the counter's limit
)

// queueCounterCrowd lets callers come again as soon as their job is done, to a counter that has room for few of them.
func queueCounterCrowd(ctx context.Context, s scale) ([]line, error) {
	counter := queue.Config{Regulators: []queue.Regulator{queue.Counter{Limit: crowdLimit}}}
	empty, err := crowd(ctx, s, fmt.Sprintf("run, counter %d, %d callers, empty job", crowdLimit, s.callers), nothing, counter)
	if err != nil {
		return nil, err
	}
	held, err := crowd(ctx, s, fmt.Sprintf("run, counter %d, %d callers, job yields once", crowdLimit, s.callers), yields, counter)
	held.bar = "" // the runtime's own switching is in it, and the bar is for what the queue takes
	return []line{empty, held}, err
}

// queueRateCrowd is the same with a rate that is as fast as a rate may be.
func queueRateCrowd(ctx context.Context, s scale) ([]line, error) {
	l, err := crowd(ctx, s, fmt.Sprintf("run, rate %d/s, %d callers, empty job", maxRate, s.callers), nothing,
		queue.Config{Regulators: []queue.Regulator{queue.Rate{PerSecond: maxRate}}})
	return []line{l}, err
}

func crowd(ctx context.Context, s scale, what string, job func(context.Context) error, cfg queue.Config) (l line, err error) {
	h, err := openEmpty()
	if err != nil {
		return l, err
	}
	defer h.close(&err)
	q, err := queue.Add(h.sys, "bench", cfg)
	if err != nil {
		return l, err
	}
	a, err := alone(ctx, s, s.callers, runs(ctx, what, job, q))
	if err != nil {
		return l, err
	}
	return line{
		what: what, ours: fmt.Sprintf("%.0f ns", median(a.ns)), allocs: a.allocs,
		bar: fmt.Sprintf("≤ %d ns", crowdBar), met: median(a.ns) <= crowdBar,
		note: fmt.Sprintf("wall time a job; CPU time, all cores: %.0f ns; %s", median(a.cpu), waited(q)),
	}, nil
}

// queueCrowdAgainst puts the same crowds beside what else they might wait in.
func queueCrowdAgainst(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	counted, err := h.counterQueue("counter", crowdLimit)
	if err != nil {
		return nil, err
	}
	sem := semaphore.NewWeighted(crowdLimit)
	acquires := side{name: "x/sync/semaphore Acquire, job, Release", calls: func(_, n int) (refused int) {
		for range n {
			if sem.Acquire(ctx, 1) != nil {
				refused++
				continue
			}
			_ = yields(ctx)
			sem.Release(1)
		}
		return refused
	}}
	l, err := comparison(ctx, s, fmt.Sprintf("run, counter %d, %d callers, job yields once, against semaphore", crowdLimit, s.callers), s.callers,
		runs(ctx, "Run", yields, counted), acquires, 0)
	if err != nil {
		return nil, err
	}
	rated, err := queue.Add(h.sys, "rate", queue.Config{Regulators: []queue.Regulator{queue.Rate{PerSecond: maxRate}}})
	if err != nil {
		return nil, err
	}
	lim := rate.NewLimiter(maxRate, 1)
	waits := side{name: "x/time/rate Wait, burst 1", calls: func(_, n int) (refused int) {
		for range n {
			if lim.Wait(ctx) != nil {
				refused++
			}
		}
		return refused
	}}
	m, err := comparison(ctx, s, fmt.Sprintf("run, rate %d/s, %d callers, empty job, against rate.Wait", maxRate, s.callers), s.callers,
		runs(ctx, "Run", nothing, rated), waits, 0)
	return []line{l, m}, err
}
