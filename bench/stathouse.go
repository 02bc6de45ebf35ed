package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/penstock-go/penstock/actors/stat"
)

// neverDue is an interval that no row reaches the end of.
const neverDue = time.Hour

// buffer makes a buffer whose keys are kept. Its Close is the house's.
func (h *house) buffer(name string, sink stat.Sink[string], interval time.Duration, keys int) (*stat.Buffer[string], error) {
	return stat.NewBuffer(h.sys, name, stat.Config[string]{Sink: sink, Interval: interval, MaxKeys: max(keys, 100)*2 + 1, Idle: time.Hour})
}

// fill counts the amount of each key's place, on all cores.
func fill(ctx context.Context, b *stat.Buffer[string], keys []string, amount func(i int) int64) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(keys) && ctx.Err() == nil; i += workers {
				if err := b.Increment(keys[i], amount(i)); err != nil {
					errs[w] = fmt.Errorf("key %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func justOne(int) int64 { return 1 }

// started is how many actors have been started in the house.
func (h *house) started() int { return int(h.sys.Info().Tree.Started) }

// settle waits until as many actors have been started since there were before.
func (h *house) settle(ctx context.Context, before, n int) error {
	if err := poll(ctx, time.Minute, func() bool { return h.started()-before >= n }); err != nil {
		return fmt.Errorf("%d of %d keys have their actor: %w", h.started()-before, n, err)
	}
	return nil
}
