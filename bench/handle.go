package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/sethvargo/go-limiter"
	"github.com/sethvargo/go-limiter/memorystore"
	"golang.org/x/time/rate"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

// passBar: a pass must cost at most this share of x/time/rate's, and allocate nothing.
const passBar = 0.7

// one is the ID of rows with a single bucket.
const one = "user-00000000"

// tryAcquire is our side of the rows with one bucket: TryAcquire through a handle held by the caller.
func tryAcquire(name string, b *bucket.Bucket) side {
	return side{name: name, calls: func(_, n int) (refused int) {
		for range n {
			if !b.TryAcquire(bucket.Request{}).Allowed {
				refused++
			}
		}
		return refused
	}}
}

func allow(lim *rate.Limiter) side {
	return side{name: "x/time/rate Allow", calls: func(_, n int) (refused int) {
		for range n {
			if !lim.Allow() {
				refused++
			}
		}
		return refused
	}}
}

func handleRate(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openPlenty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	ours := tryAcquire("TryAcquire, rolling window", h.family.Bucket(one))
	l, err := comparison(ctx, s, "pass, held handle, against rate.Allow", 1, ours, allow(rate.NewLimiter(plenty, plenty)), passBar)
	return []line{l}, err
}

func handleSmooth(ctx context.Context, s scale) (lines []line, err error) {
	// The shortest interval that Smooth takes, and a burst that outlasts the run.
	h, err := openLimit(limit.Limit{Events: 10_000_000, Per: time.Second, Algorithm: limit.Smooth, Burst: plenty}, 1)
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	ours := tryAcquire("TryAcquire, smooth rate (GCRA)", h.family.Bucket(one))
	l, err := comparison(ctx, s, "pass, held handle, smooth, against rate.Allow", 1, ours, allow(rate.NewLimiter(plenty, plenty)), 0)
	return []line{l}, err
}

// handleExact is the rolling window at its most laborious: it remembers every permit and forgets one with each call,
// where that of the first row, for a large limit, lets neighbours share an entry.
func handleExact(ctx context.Context, s scale) (lines []line, err error) {
	l := limit.Limit{Events: 256, Per: time.Microsecond}
	h, err := openLimit(l, 1)
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	ours := tryAcquire("TryAcquire, "+l.String(), h.family.Bucket(one))
	c, err := comparison(ctx, s, "pass, held handle, every permit remembered, against rate.Allow", 1, ours, allow(rate.NewLimiter(plenty, plenty)), 0)
	return []line{c}, err
}

func handleWait(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openPlenty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	b, lim := h.family.Bucket(one), rate.NewLimiter(plenty, plenty)
	ours := side{name: "Acquire with room", calls: func(_, n int) (refused int) {
		for range n {
			if _, err := b.Acquire(ctx, bucket.Request{}); err != nil {
				refused++
			}
		}
		return refused
	}}
	theirs := side{name: "x/time/rate Wait with room", calls: func(_, n int) (refused int) {
		for range n {
			if lim.Wait(ctx) != nil {
				refused++
			}
		}
		return refused
	}}
	l, err := comparison(ctx, s, "pass, held handle, Acquire against rate.Wait", 1, ours, theirs, 0)
	return []line{l}, err
}

// newMemoryStore is go-limiter's store with more tokens than a run can take, and an interval no run outlives: with a rate
// this high its refill (interval/tokens instead of tokens/interval) would come to one token, and the row measure refusals.
func newMemoryStore(keys int) (limiter.Store, error) {
	return memorystore.New(&memorystore.Config{Tokens: 1 << 40, Interval: time.Hour, InitialAlloc: keys})
}

func handleGoLimiter(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openPlenty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	store, err := newMemoryStore(1)
	if err != nil {
		return nil, err
	}
	defer store.Close(ctx)
	// That store has no handles: a call always looks its key up, and so does ours here.
	ours := side{name: "Bucket(id).TryAcquire", calls: func(_, n int) (refused int) {
		for range n {
			if !h.family.Bucket(one).TryAcquire(bucket.Request{}).Allowed {
				refused++
			}
		}
		return refused
	}}
	theirs := side{name: "go-limiter memorystore Take", calls: func(_, n int) (refused int) {
		for range n {
			if _, _, _, ok, err := store.Take(ctx, one); !ok || err != nil {
				refused++
			}
		}
		return refused
	}}
	l, err := comparison(ctx, s, "pass, one ID, against go-limiter", 1, ours, theirs, 0)
	return []line{l}, err
}

func handleFailsafe(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openPlenty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	lim := ratelimiter.NewBursty[any](plenty, time.Second)
	theirs := side{name: "failsafe-go TryAcquirePermit, bursty", calls: func(_, n int) (refused int) {
		for range n {
			if !lim.TryAcquirePermit() {
				refused++
			}
		}
		return refused
	}}
	ours := tryAcquire("TryAcquire, rolling window", h.family.Bucket(one))
	l, err := comparison(ctx, s, "pass, held handle, against failsafe-go", 1, ours, theirs, 0)
	return []line{l}, err
}
