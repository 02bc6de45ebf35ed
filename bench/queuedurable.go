package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/penstock-go/penstock/actors/queue/durable"
)

const (
	durableBar  = 20_000 // items a second
	durableItem = 100    // bytes, before they are encoded
	syncSize    = 16 << 10
)

// queueDurable puts items into a queue on disk. Each call returns when its item is on the disk.
func queueDurable(ctx context.Context, s scale) (lines []line, err error) {
	dir, err := os.MkdirTemp("", "penstock-bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	disk, err := syncTime(filepath.Join(dir, "sync"), s.rounds)
	if err != nil {
		return nil, err
	}
	q, err := durable.Add(h.sys, "bench", durable.Config[string]{Path: filepath.Join(dir, "queue"), MaxSize: math.MaxInt32})
	if err != nil {
		return nil, err
	}
	item := strings.Repeat("x", durableItem)
	a, err := alone(ctx, s, s.callers, side{name: "Enqueue", calls: func(_, n int) (refused int) {
		for range n {
			if q.Enqueue(ctx, item) != nil {
				refused++
			}
		}
		return refused
	}})
	if err != nil {
		return nil, err
	}
	perSecond := 1e9 / median(a.ns)
	info := q.Info()
	return []line{{
		what: fmt.Sprintf("durable queue, enqueue, %d callers", s.callers), allocs: a.allocs,
		ours: fmt.Sprintf("%.0f/s", perSecond), bar: fmt.Sprintf("≥ %d/s", durableBar), met: perSecond >= durableBar,
		note: fmt.Sprintf("items of %d bytes, synced to disk; %.0f to a commit; CPU time an item, all cores: %.1f µs; to write and sync %d kB to that disk takes %v",
			durableItem, float64(info.Enqueued)/float64(max(1, info.Commits)), median(a.cpu)/1e3, syncSize>>10, disk.Round(time.Microsecond)),
	}}, nil
}

// syncTime is what the disk takes to write and sync a little: with a slow one, no queue on it is fast.
func syncTime(path string, rounds int) (_ time.Duration, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	block := make([]byte, syncSize)
	var ns []float64
	for range rounds {
		began := time.Now()
		_, err := f.WriteAt(block, 0)
		if err := errors.Join(err, f.Sync()); err != nil {
			return 0, err
		}
		ns = append(ns, float64(time.Since(began)))
	}
	return time.Duration(median(ns)), nil
}
