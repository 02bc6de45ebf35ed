package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
)

const (
	rateJobs   = 2000
	ratePerSec = 1000
	rateSlack  = 0.01 // of the ideal length
)

// queueAccuracy lets more callers ask than a rate serves, and looks at when it lets them go.
func queueAccuracy(ctx context.Context, s scale) (lines []line, err error) {
	const attempts = 5 // a machine that stops for a millisecond at the wrong moment spoils one
	jobs := min(rateJobs, int(s.accuracy/time.Second)*ratePerSec)
	var times []time.Time
	for range attempts {
		if times, err = rateTimes(ctx, s, jobs); err != nil {
			return nil, err
		}
		if len(times) == jobs {
			break
		}
	}
	var took time.Duration
	if n := len(times); n > 0 {
		took = times[n-1].Sub(times[0])
	}
	missing := "" // of jobs that did not wait only their queue knows when they were let go: nothing is proved then
	if n := jobs - len(times); n > 0 {
		missing = fmt.Sprintf("; spoiled: %d jobs did not wait", n)
	}
	ideal := time.Duration(jobs) * time.Second / ratePerSec
	slack := time.Duration(rateSlack * float64(ideal))
	least, most := ideal-slack, ideal+slack
	largest := largestWindow(times, time.Second)
	return []line{
		{
			what: fmt.Sprintf("%d jobs at %d/s, %d callers", jobs, ratePerSec, s.callers), allocs: -1,
			ours: took.Round(10 * time.Microsecond).String(), bar: fmt.Sprintf("%v to %v", least, most), met: missing == "" && took >= least && took <= most,
			note: "from the first grant to the last, by the times at which the queue granted" + missing,
		},
		{
			what: "largest window of a second, rate queue", allocs: -1,
			ours: fmt.Sprint(largest), bar: fmt.Sprintf("≤ %d", ratePerSec), met: missing == "" && largest <= ratePerSec,
			note: "most jobs let go in any second, wherever it starts" + missing,
		},
	}, nil
}

// rateTimes runs so many jobs, and returns the moments at which those were let go that had to wait: all, unless the machine
// was too slow to keep the line from becoming empty. One job goes before them and takes the room of the beginning.
func rateTimes(ctx context.Context, s scale, jobs int) (times []time.Time, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	cfg, w := watch(queue.Config{Regulators: []queue.Regulator{queue.Rate{PerSecond: ratePerSec}}}, jobs)
	q, err := queue.Add(h.sys, "bench", cfg)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(jobs))
	errs := make([]error, s.callers)
	if err := q.Run(ctx, queue.Request{}, nothing); err != nil {
		return nil, err
	}
	for c := range s.callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 && errs[c] == nil {
				errs[c] = q.Run(ctx, queue.Request{}, nothing)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return w.went, nil
}
