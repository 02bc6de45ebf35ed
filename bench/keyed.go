package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/time/rate"

	"github.com/penstock-go/penstock/actors/bucket"
)

// walk visits IDs in an order that looks random and repeats exactly: a linear congruential generator, one for each
// worker, whose few instructions weigh the same on both sides.
type walk uint64

func (w *walk) next(n int) int {
	*w = *w*6364136223846793005 + 1442695040888963407
	return int(uint64(*w>>32) * uint64(n) >> 32)
}

func keyedOurs(h *house, ids []string) side {
	return side{name: "Bucket(id).TryAcquire", calls: func(worker, n int) (refused int) {
		w := walk(worker + 1)
		for range n {
			if !h.family.Bucket(ids[w.next(len(ids))]).TryAcquire(bucket.Request{}).Allowed {
				refused++
			}
		}
		return refused
	}}
}

func keyedRate(ctx context.Context, s scale) (lines []line, err error) {
	ids := makeIDs(s.ids)
	h, err := openLimit(often, len(ids))
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	if err := h.spawn(ctx, ids); err != nil {
		return nil, err
	}
	var limiters sync.Map // string → *rate.Limiter
	for _, id := range ids {
		limiters.Store(id, rate.NewLimiter(rate.Limit(float64(often.Events)/often.Per.Seconds()), often.Events))
	}
	theirs := side{name: "sync.Map + x/time/rate Allow", calls: func(worker, n int) (refused int) {
		w := walk(worker + 1)
		for range n {
			lim, ok := limiters.Load(ids[w.next(len(ids))])
			if !ok || !lim.(*rate.Limiter).Allow() {
				refused++
			}
		}
		return refused
	}}
	workers := runtime.GOMAXPROCS(0)
	l, err := comparison(ctx, s, fmt.Sprintf("pass by ID, %d live, %d goroutines, against sync.Map + rate", len(ids), workers), workers, keyedOurs(h, ids), theirs, passBar)
	return []line{l}, errors.Join(err, h.stillLive(len(ids)))
}

func keyedGoLimiter(ctx context.Context, s scale) (lines []line, err error) {
	ids := makeIDs(s.ids)
	h, err := openLimit(often, len(ids))
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	if err := h.spawn(ctx, ids); err != nil {
		return nil, err
	}
	store, err := newMemoryStore(len(ids))
	if err != nil {
		return nil, err
	}
	defer store.Close(ctx)
	for _, id := range ids {
		if _, _, _, _, err := store.Take(ctx, id); err != nil {
			return nil, err
		}
	}
	theirs := side{name: "go-limiter memorystore Take", calls: func(worker, n int) (refused int) {
		w := walk(worker + 1)
		for range n {
			if _, _, _, ok, err := store.Take(ctx, ids[w.next(len(ids))]); !ok || err != nil {
				refused++
			}
		}
		return refused
	}}
	workers := runtime.GOMAXPROCS(0)
	l, err := comparison(ctx, s, fmt.Sprintf("pass by ID, %d live, %d goroutines, against go-limiter", len(ids), workers), workers, keyedOurs(h, ids), theirs, 0)
	return []line{l}, errors.Join(err, h.stillLive(len(ids)))
}

// stillLive says when a row that claims live buckets lost some of them.
func (h *house) stillLive(n int) error {
	if got := h.family.Len(); got != n {
		return fmt.Errorf("%d of %d buckets were live at the end", got, n)
	}
	return nil
}
