package main

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock/actors/stat"
)

// statFlushFunc shows what the buffer itself takes, with a function that does nothing, which gets each key by itself, and
// with a sink that does nothing.
func statFlushFunc(ctx context.Context, s scale) ([]line, error) {
	each, err := due(ctx, s, "into a FlushFunc", 0, func(_ context.Context, came *arrivals) (destination, error) {
		fn := stat.FlushFunc[string](func(_ context.Context, _ string, n int64) error {
			came.note(1, n)
			return nil
		})
		return destination{sink: fn, check: came.check, close: func() error { return nil }}, nil
	})
	if err != nil {
		return nil, err
	}
	many, err := due(ctx, s, "into a Sink that stores nothing", 0, openNowhere)
	return append(each, many...), err
}

func openNowhere(_ context.Context, came *arrivals) (destination, error) {
	return destination{sink: discards{came}, check: came.check, close: func() error { return nil }}, nil
}

// check compares the sum of everything that came with what was counted.
func (a *arrivals) check(_ context.Context, keys, times int) error {
	var want int64
	for i := range keys {
		want += amount(i) * int64(times)
	}
	if got := a.total.Load(); got != want {
		return fmt.Errorf("%d were counted and %d flushed", want, got)
	}
	return nil
}
