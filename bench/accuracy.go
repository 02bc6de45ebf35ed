package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

const (
	accuracyEvents = 1000 // a second
	deliveredBar   = 0.99
)

func accuracyRolling(ctx context.Context, s scale) ([]line, error) {
	return accuracy(ctx, s, "rolling", limit.Limit{Events: accuracyEvents, Per: time.Second}, accuracyEvents)
}

func accuracySmooth(ctx context.Context, s scale) ([]line, error) {
	const burst = 10
	return accuracy(ctx, s, "smooth", limit.Limit{Events: accuracyEvents, Per: time.Second, Algorithm: limit.Smooth, Burst: burst}, accuracyEvents+burst)
}

// accuracy lets more callers ask than the limit serves, and compares what they got with what the limit allows.
//
// Two things are judged. Delivered: the ideal limiter gives its last permit of the run at a moment that can be
// calculated, and the share is that moment over the real one; counting permits in the run would forgive a limiter that
// gives its bursts late. Never exceeded: no window of the limit's length, wherever it starts, holds more than the most.
func accuracy(ctx context.Context, s scale, name string, l limit.Limit, most int) (lines []line, err error) {
	h, err := open(bucket.Config{Limits: []limit.Limit{l}, Idle: time.Hour})
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	windows := int(s.accuracy / time.Second)
	// The permit after so many full windows: the first of the next one.
	want := windows*l.Events + max(1, l.Burst)
	times, err := collect(ctx, h.family.Bucket(one), s.callers, want)
	if err != nil {
		return nil, err
	}
	real := times[want-1].Sub(times[0])
	share := float64(windows) * float64(time.Second) / float64(real)
	largest := largestWindow(times, l.Per)
	return []line{
		{
			what: fmt.Sprintf("delivered, %s, %d a second, %d callers", name, l.Events, s.callers), allocs: -1,
			ours: fmt.Sprintf("%.2f %%", 100*share), bar: fmt.Sprintf("%.0f to 100 %%", 100*deliveredBar), met: share >= deliveredBar && share <= 1,
			note: fmt.Sprintf("permit %d, ideally %v after the first, came after %v", want, time.Duration(windows)*time.Second, real.Round(time.Microsecond)),
		},
		{
			what: fmt.Sprintf("largest window, %s", name), allocs: -1,
			ours: fmt.Sprint(largest), bar: fmt.Sprintf("≤ %d", most), met: largest <= most,
			note: fmt.Sprintf("most permits granted in any %v, wherever it starts", l.Per),
		},
	}, nil
}

// errEnough ends collect.
var errEnough = errors.New("enough permits")

// collect lets the callers ask until they hold want permits together, and returns the moments of the grants, in order.
func collect(ctx context.Context, b *bucket.Bucket, callers, want int) ([]time.Time, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		times = make([]time.Time, 0, want+callers)
	)
	for range callers {
		wg.Go(func() {
			for {
				permit, err := b.Acquire(ctx, bucket.Request{})
				if err != nil {
					cancel(err) // only the first cause counts, and that may be errEnough
					return
				}
				mu.Lock()
				times = append(times, permit.At())
				enough := len(times) >= want
				mu.Unlock()
				if enough {
					cancel(errEnough)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errEnough) {
		return nil, err
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}
