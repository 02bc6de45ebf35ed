package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

const (
	waitBar       = 2000 // ns each
	waitAllocsBar = 1.0
	// waitedAtLeast: a pass takes well under this, and an answer through the actor well over it.
	waitedAtLeast = 500 * time.Nanosecond
	// mustWait is the least share of calls that really waited, or the row would measure passes.
	mustWait = 0.95
)

// waiting measures what a permit costs when every caller has to stand in line.
//
// All callers ask again as soon as they were served, so that the line is never empty, and the limit is one permit in
// any window that is shorter than serving one takes: there is always a reason to wait, and never anything to wait for
// but one's turn. So the wall time of a permit is the cost of the way through the line, not the limit's rate.
func waiting(ctx context.Context, s scale) (lines []line, err error) {
	h, err := open(bucket.Config{
		Limits: []limit.Limit{{Events: 1, Per: waitWindow}},
		Idle:   time.Hour,
	})
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	b := h.family.Bucket(one)
	var ns, cpu, share, mallocs []float64
	for range s.rounds {
		r, err := waitRound(ctx, b, s.callers, s.side)
		if err != nil {
			return nil, err
		}
		ns, cpu = append(ns, r.ns), append(cpu, r.cpu)
		share, mallocs = append(share, r.waited), append(mallocs, r.allocs)
	}
	l := line{
		what:   fmt.Sprintf("waiting path, %d callers", s.callers),
		ours:   fmt.Sprintf("%.0f ns", median(ns)),
		allocs: median(mallocs),
		bar:    fmt.Sprintf("≤ %d ns, ≤ %.0f alloc", waitBar, waitAllocsBar),
		met:    median(ns) <= waitBar && median(mallocs) <= waitAllocsBar+noAllocs && median(share) >= mustWait,
		note: fmt.Sprintf("wall time a permit, one permit in any %v; %.1f %% of the calls took over %v and so waited (at least %.0f %% must); CPU time a permit, all cores: %.0f ns",
			waitWindow, 100*median(share), waitedAtLeast, 100*mustWait, median(cpu)),
	}
	return []line{l}, nil
}

// waitWindow is shorter than serving a permit through the line takes.
const waitWindow = time.Microsecond

type waitResult struct {
	ns, cpu, allocs float64 // each permit
	waited          float64 // share of the permits
}

// waitRound lets the callers ask again and again for a while.
func waitRound(ctx context.Context, b *bucket.Bucket, callers int, length time.Duration) (waitResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		ready, wg       sync.WaitGroup
		start           = make(chan struct{})
		stop            atomic.Bool
		permits, waited atomic.Int64
	)
	for range callers {
		ready.Add(1)
		wg.Go(func() {
			ready.Done()
			<-start
			var mine, slow int64
			for !stop.Load() {
				asked := time.Now()
				if _, err := b.Acquire(ctx, bucket.Request{}); err != nil {
					cancel(err)
					return
				}
				mine++
				if time.Since(asked) >= waitedAtLeast {
					slow++
				}
			}
			permits.Add(mine)
			waited.Add(slow)
		})
	}
	ready.Wait()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := cpuTime(), time.Now()
	close(start)
	time.Sleep(length)
	stop.Store(true)
	wg.Wait()
	took := time.Since(began)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	if err := context.Cause(ctx); err != nil {
		return waitResult{}, err
	}
	n := float64(permits.Load())
	return waitResult{
		ns:     float64(took) / n,
		cpu:    float64(cpu) / n,
		allocs: float64(after.Mallocs-before.Mallocs) / n,
		waited: float64(waited.Load()) / n,
	}, nil
}

// cpuTime is what this process has used of all cores so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
