package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

const keyBytesBar = 900 // of heap, each key with its actor

// statMillion keeps very many keys alive at once, each counted and with its actor, and measures what they take.
func statMillion(ctx context.Context, s scale) (lines []line, err error) {
	keys := makeIDs(s.buckets) // made first, so that they are not part of what is measured
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	sink := discards{new(arrivals)}
	b, err := h.buffer("bench", sink, neverDue, len(keys))
	if err != nil {
		return nil, err
	}
	base := liveHeap()
	before, began := h.started(), time.Now()
	if err := fill(ctx, b, keys, justOne); err != nil {
		return nil, err
	}
	if err := h.settle(ctx, before, len(keys)); err != nil {
		return nil, err
	}
	created := time.Since(began)
	full := liveHeap()
	// Each key is there, is counted and waits for its time, and its actor was started and has not stopped.
	info, tree := b.Info(), h.sys.Info().Tree
	if running := h.started() - before - int(tree.Passivated+tree.Stopped); info.Keys != len(keys) || info.Unflushed != len(keys) || running != len(keys) {
		return nil, fmt.Errorf("when the heap was measured there were %d keys, %d of them counted, and %d actors; all should be %d", info.Keys, info.Unflushed, running, len(keys))
	}
	runtime.KeepAlive(keys)

	began = time.Now()
	if err := b.Close(ctx); err != nil {
		return nil, err
	}
	closed := time.Since(began)
	if got := sink.total.Load(); got != int64(len(keys)) {
		return nil, fmt.Errorf("%d were counted and %d flushed", len(keys), got)
	}
	each := float64(full-base) / float64(len(keys))
	return []line{{
		what: fmt.Sprintf("%d live keys: heap each", len(keys)), ours: fmt.Sprintf("%.0f B", each), allocs: -1,
		bar: fmt.Sprintf("≤ %d B", keyBytesBar), met: each <= keyBytesBar,
		note: fmt.Sprintf("live heap %.1f MB before, %.1f MB with the keys, of which every one waits to be flushed; their names are not counted. Created with their actors in %v; flushed to a sink that stores nothing, and closed, in %v",
			mb(base), mb(full), created.Round(time.Millisecond), closed.Round(time.Millisecond)),
	}}, nil
}
