package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

const (
	refusalBar   = time.Millisecond
	overloadRate = 1000 // permits a second
	overloadLine = 100  // requests that may wait
)

// overload keeps a bucket's line full and measures how long it takes to be told so. The callers that wait keep it full;
// the others come again as soon as they were refused, far more often than ten times what the limit lets through.
func overload(ctx context.Context, s scale) (lines []line, err error) {
	h, err := open(bucket.Config{
		Limits:     []limit.Limit{{Events: overloadRate, Per: time.Second}},
		MaxWaiting: overloadLine,
		Idle:       time.Hour,
	})
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	length := s.side * time.Duration(s.rounds)
	refused := refusals(ctx, h.family.Bucket(one), s.callers, length)
	for len(refused) == 0 && ctx.Err() == nil { // a machine that is busy with other things has not filled the line yet
		length *= 2
		refused = refusals(ctx, h.family.Bucket(one), s.callers, length)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.Sort(refused)
	p99 := refused[len(refused)*99/100]
	demand := float64(len(refused))/length.Seconds()/overloadRate + 1
	return []line{{
		what: fmt.Sprintf("refused, line full, %d callers more: p99", s.callers), allocs: -1,
		ours: p99.String(), bar: fmt.Sprintf("≤ %v", refusalBar), met: p99 <= refusalBar,
		note: fmt.Sprintf("%d refusals in %v, a demand of %.0f times the limit; median %v, longest %v; live heap after %.1f MB",
			len(refused), length, demand, refused[len(refused)/2], refused[len(refused)-1], mb(liveHeap())),
	}}, nil
}

// refusals lets more ask than may wait, for so long, and returns how long those who were refused took to hear of it.
func refusals(ctx context.Context, b *bucket.Bucket, callers int, length time.Duration) (refused []time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for range overloadLine + callers {
		wg.Go(func() {
			var mine []time.Duration
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := b.Acquire(ctx, bucket.Request{}); errors.Is(err, penstock.ErrFull) {
					mine = append(mine, time.Since(began))
				}
			}
			mu.Lock()
			refused = append(refused, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return refused
}
