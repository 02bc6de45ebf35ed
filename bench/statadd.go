package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

const (
	statCounterBar   = 1.3 // times xsync.Counter
	statIncrementBar = 2.0 // times xsync.Map and an atomic
	newKeyBar        = 1500 * time.Nanosecond
)

// statCounter counts one key through its striped handle.
func statCounter(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	b, err := h.buffer("bench", discards{new(arrivals)}, neverDue, 1)
	if err != nil {
		return nil, err
	}
	c := b.Counter(one)
	ours := side{name: "Counter.Add", calls: func(_, n int) (refused int) {
		for range n {
			if c.Add(1) != nil {
				refused++
			}
		}
		return refused
	}}
	x := xsync.NewCounter()
	theirs := side{name: "xsync.Counter Add", calls: func(_, n int) (refused int) {
		for range n {
			x.Add(1)
		}
		return 0
	}}
	for _, callers := range []int{1, 2} {
		l, err := comparison(ctx, s, fmt.Sprintf("add to a striped counter, %d goroutines, against xsync.Counter", callers), callers, ours, theirs, statCounterBar)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// statIncrement counts keys that are there, in random order.
func statIncrement(ctx context.Context, s scale) (lines []line, err error) {
	keys := makeIDs(s.ids)
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	b, err := h.buffer("bench", discards{new(arrivals)}, neverDue, len(keys))
	if err != nil {
		return nil, err
	}
	before := h.started()
	if err := fill(ctx, b, keys, justOne); err != nil {
		return nil, err
	}
	if err := h.settle(ctx, before, len(keys)); err != nil {
		return nil, err
	}
	counts := xsync.NewMap[string, *atomic.Int64]()
	for _, key := range keys {
		counts.Store(key, new(atomic.Int64))
	}
	ours := side{name: "Increment", calls: func(worker, n int) (refused int) {
		w := walk(worker + 1)
		for range n {
			if b.Increment(keys[w.next(len(keys))], 1) != nil {
				refused++
			}
		}
		return refused
	}}
	theirs := side{name: "xsync.Map Load + atomic.Int64 Add", calls: func(worker, n int) (refused int) {
		w := walk(worker + 1)
		for range n {
			count, ok := counts.Load(keys[w.next(len(keys))])
			if !ok {
				refused++
				continue
			}
			count.Add(1)
		}
		return refused
	}}
	for _, callers := range []int{1, 2} {
		what := fmt.Sprintf("increment of one of %d keys, %d goroutines, against xsync.Map", len(keys), callers)
		l, err := comparison(ctx, s, what, callers, ours, theirs, statIncrementBar)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// statNewKey counts keys that the buffer has never seen, one after the other and without a pause: their actors are started by
// other goroutines meanwhile, and after.
func statNewKey(ctx context.Context, s scale) (lines []line, err error) {
	keys := makeIDs(s.ids)
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	var caller, all, cpu []float64 // ns a key
	var mallocs float64
	for round := range s.rounds {
		r, err := newKeyRound(ctx, h, fmt.Sprintf("round %d", round), keys)
		if err != nil {
			return nil, err
		}
		caller, all, cpu = append(caller, r.caller), append(all, r.all), append(cpu, r.cpu)
		mallocs += r.allocs / float64(s.rounds)
	}
	took := median(caller)
	behind := max(0, median(cpu)-took)
	return []line{{
		what: fmt.Sprintf("increment of a new key, %d in a row", len(keys)), ours: fmt.Sprintf("%.0f ns", took), allocs: mallocs,
		bar: fmt.Sprintf("≤ %d ns", newKeyBar.Nanoseconds()), met: took <= float64(newKeyBar),
		note: fmt.Sprintf("the caller's wall time. CPU time a key, all cores, until its actor runs: %.0f ns, so at least %.0f ns (%.0f %%) of it are in the background; the last actor ran after %.0f ns a key. Allocations are those of both",
			median(cpu), behind, 100*behind/median(cpu), median(all)),
	}}, nil
}

type newKeyResult struct{ caller, all, cpu, allocs float64 } // each key, ns

func newKeyRound(ctx context.Context, h *house, name string, keys []string) (r newKeyResult, err error) {
	b, err := h.buffer(name, discards{new(arrivals)}, neverDue, len(keys))
	if err != nil {
		return r, err
	}
	runtime.GC() // what an earlier round left behind
	var m, after runtime.MemStats
	runtime.ReadMemStats(&m)
	before, cpu, began := h.started(), cpuTime(), time.Now()
	for _, key := range keys {
		if err := b.Increment(key, 1); err != nil {
			return r, err
		}
	}
	caller := time.Since(began)
	if err := h.settle(ctx, before, len(keys)); err != nil {
		return r, err
	}
	all := time.Since(began)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	n := float64(len(keys))
	return newKeyResult{float64(caller) / n, float64(all) / n, float64(cpu) / n, float64(after.Mallocs-m.Mallocs) / n}, b.Close(ctx)
}
