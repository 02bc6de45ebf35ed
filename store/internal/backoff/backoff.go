// Package backoff waits between the attempts of a transaction that others were in the way of.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	first = time.Millisecond
	most  = 100 * time.Millisecond
)

// Wait waits before attempt number try, counted from 1: for a random time up to 1 ms, 2 ms, 4 ms … 100 ms. It returns the
// context's error if that ends before.
func Wait(ctx context.Context, try int) error {
	bound := most
	if try < 8 {
		bound = min(most, first<<max(try-1, 0))
	}
	timer := time.NewTimer(1 + rand.N(bound))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
