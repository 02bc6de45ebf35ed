package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

const (
	bytesBar     = 1100 // of heap, each bucket with its actor
	createBar    = 15 * time.Second
	passivateBar = 5 * time.Second
	leftBar      = 0.1 // of the live heap, after all are gone
)

// million keeps very many buckets alive at once, each with its supervised actor, and measures what they take, how long
// it takes to create them, and how long, once they are idle, to be rid of them again.
func million(ctx context.Context, s scale) (lines []line, err error) {
	ids := makeIDs(s.buckets) // made first, so that they are not part of what is measured
	// A bucket stays while its window remembers a permit. So the window keeps all of them alive until they are counted and
	// weighed, and a short idle time makes the family look often enough for the time of their removal to be seen.
	h, err := open(bucket.Config{
		Limits:     []limit.Limit{{Events: 10, Per: s.hold}},
		MaxBuckets: s.buckets,
		Idle:       s.hold / 20,
	})
	if err != nil {
		return nil, err
	}
	defer h.close(&err)

	base := liveHeap()
	began := time.Now()
	if err := h.spawnParallel(ctx, ids); err != nil {
		return nil, err
	}
	created := time.Since(began)
	live := h.family.Len()
	full := liveHeap()
	if live != s.buckets || h.family.Len() != live {
		return nil, fmt.Errorf("%d of %d buckets were live when the heap was measured: -hold %v is too short here", h.family.Len(), s.buckets, s.hold)
	}

	// Every bucket is used once more, so that all fall idle at about the same time and only their removal is timed.
	if err := h.spawnParallel(ctx, ids); err != nil {
		return nil, err
	}
	lastUse := time.Now()
	if err := poll(ctx, s.hold+time.Minute, func() bool { return h.family.Len() < live }); err != nil {
		return nil, fmt.Errorf("no bucket was passivated: %w", err)
	}
	firstGone := time.Now()
	if err := poll(ctx, time.Minute, func() bool { return h.family.Len() == 0 }); err != nil {
		return nil, fmt.Errorf("%d buckets were never passivated: %w", h.family.Len(), err)
	}
	gone := time.Now()
	left := liveHeap()
	runtime.KeepAlive(ids)

	each := float64(full-base) / float64(live)
	share := max(0, float64(left)-float64(base)) / float64(full-base)
	what := func(s string) string { return fmt.Sprintf("%d live buckets: %s", live, s) }
	return []line{
		{what: what("heap each"), ours: fmt.Sprintf("%.0f B", each), allocs: -1,
			bar: fmt.Sprintf("≤ %d B", bytesBar), met: each <= bytesBar,
			note: fmt.Sprintf("live heap %.1f MB before, %.1f MB with the buckets; IDs are not counted", mb(base), mb(full))},
		{what: what("created"), ours: created.Round(time.Millisecond).String(), allocs: -1,
			bar: fmt.Sprintf("< %v", createBar), met: created < createBar,
			note: fmt.Sprintf("%d goroutines, %.1f µs each", runtime.GOMAXPROCS(0), float64(created.Microseconds())/float64(live))},
		{what: what("passivated"), ours: gone.Sub(firstGone).Round(time.Millisecond).String(), allocs: -1,
			bar: fmt.Sprintf("< %v", passivateBar), met: gone.Sub(firstGone) < passivateBar,
			note: fmt.Sprintf("from the first that went to the last; the last went %v after its window of %v was over", (gone.Sub(lastUse) - s.hold).Round(time.Millisecond), s.hold)},
		{what: what("heap left after"), ours: fmt.Sprintf("%.1f %%", 100*share), allocs: -1,
			bar: fmt.Sprintf("≤ %.0f %%", 100*leftBar), met: share <= leftBar,
			note: fmt.Sprintf("live heap %.1f MB after all had gone", mb(left))},
	}, nil
}

// spawnParallel uses every bucket once, on all cores, and returns when the family holds every one.
func (h *house) spawnParallel(ctx context.Context, ids []string) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(ids) && ctx.Err() == nil; i += workers {
				if d := h.family.Bucket(ids[i]).TryAcquire(bucket.Request{}); d.Err != nil {
					errs[w] = fmt.Errorf("bucket %d: %w", i, d.Err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return err
	}
	return poll(ctx, time.Minute, func() bool { return h.family.Len() >= len(ids) })
}

// liveHeap is what is reachable: twice collected, because finalizers and pools let go of some only the second time.
func liveHeap() uint64 {
	runtime.GC()
	debug.FreeOSMemory() // collects once more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func mb(n uint64) float64 { return float64(n) / 1e6 }
