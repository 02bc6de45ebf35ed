package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/actors/batch"
)

const (
	inFlight    = 10_000 // operations at any time
	batchWindow = 10 * time.Millisecond
	batchAllocs = 3.0 // an operation, on few keys
	batchSides  = 4   // times -time is a round: with many keys, it takes a while for all callers to have had a turn
)

// batchRun has operations in flight, each on the next key of so many.
func batchRun(keys int, bar time.Duration, fewest float64) func(context.Context, scale) ([]line, error) {
	return func(ctx context.Context, s scale) (lines []line, err error) {
		ids := makeIDs(min(keys, max(1, s.buckets)))
		h, err := openEmpty()
		if err != nil {
			return nil, err
		}
		defer h.close(&err)
		var saves, total atomic.Int64
		p, err := batch.NewProcessor(h.sys, "bench", batch.Config[string, *int64]{
			MinDuration: batchWindow, MaxDuration: time.Minute, MaxKeys: 2 * max(len(ids), 100), Idle: time.Hour,
			Load: func(context.Context, string) (*int64, error) { return new(int64), nil },
			Save: func(_ context.Context, _ string, n *int64) error {
				saves.Add(1)
				total.Add(*n)
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
		callers, end := newCallers(ctx)
		defer end()
		done, err := callers.flood(func(ctx context.Context, caller int) (calls int64, err error) { // so that every key is there
			for i := caller; i < len(ids) && err == nil; i += inFlight {
				err = p.Run(ctx, ids[i], addOne)
				calls++
			}
			return calls, err
		})
		if err != nil {
			return nil, err
		}
		var ns, cpu, each []float64
		mallocs := 0.0
		for round := range s.rounds {
			runtime.GC()
			var over atomic.Bool
			before, saved := mallocsNow(), saves.Load()
			used, began := cpuTime(), time.Now()
			timer := time.AfterFunc(batchSides*s.side, func() { over.Store(true) })
			n, err := callers.flood(func(ctx context.Context, caller int) (calls int64, err error) {
				for i := caller + round*inFlight; !over.Load() && err == nil; i += inFlight {
					err = p.Run(ctx, ids[i%len(ids)], addOne)
					calls++
				}
				return calls, err
			})
			took := time.Since(began)
			used = cpuTime() - used
			timer.Stop()
			if err != nil {
				return nil, err
			}
			done += n
			ns, cpu = append(ns, float64(took)/float64(n)), append(cpu, float64(used)/float64(n))
			each = append(each, float64(n)/float64(saves.Load()-saved))
			mallocs += float64(mallocsNow()-before) / float64(n) / float64(s.rounds)
		}
		if total.Load() != done {
			return nil, fmt.Errorf("%d operations were answered, and %d are in what was saved", done, total.Load())
		}
		l := line{
			what: fmt.Sprintf("operation on one of %d keys, %d in flight, windows of %v", len(ids), inFlight, batchWindow),
			ours: fmt.Sprintf("%.2f µs", median(ns)/1e3), allocs: mallocs,
			bar: fmt.Sprintf("≤ %g µs", bar.Seconds()*1e6), met: median(ns) <= float64(bar),
			note: fmt.Sprintf("wall time; to wait for the window is %v of it. CPU time, all cores, callers' included: %.2f µs; %.1f operations a save; %d rounds",
				batchWindow/inFlight, median(cpu)/1e3, median(each), s.rounds),
		}
		if fewest > 0 {
			l.bar, l.met = fmt.Sprintf("%s, ≤ %g allocs", l.bar, fewest), l.met && mallocs <= fewest
		}
		return []line{l}, nil
	}
}

func addOne(n *int64) { *n++ }

// callers are the contexts of those that have operations in flight: each its own, as callers have.
type callers []context.Context

func newCallers(ctx context.Context) (c callers, end func()) {
	var ends []context.CancelFunc
	for range inFlight {
		own, cancel := context.WithCancel(ctx)
		c, ends = append(c, own), append(ends, cancel)
	}
	return c, func() {
		for _, cancel := range ends {
			cancel()
		}
	}
}

// flood has all callers call at once, and counts their calls. The error is that of one of them.
func (c callers) flood(call func(ctx context.Context, caller int) (calls int64, err error)) (calls int64, err error) {
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var running sync.WaitGroup
	for i, ctx := range c {
		running.Go(func() {
			calls, err := call(ctx, i)
			n.Add(calls)
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	running.Wait()
	if first := failed.Load(); first != nil {
		return n.Load(), *first
	}
	return n.Load(), nil
}

func mallocsNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
