package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/limit"
)

// plenty is a rate no single machine reaches, so that every call of a pass row is a permit: a call on the other side of
// the limit would measure something else. It is the same for both sides.
const plenty = 1_000_000_000

// house is a system with what a row measures in it.
type house struct {
	sys    *penstock.System
	family *bucket.Family // nil in the rows of queues
}

// openEmpty is a house with nothing in it.
func openEmpty() (*house, error) {
	sys, err := penstock.New(penstock.WithName("bench"))
	return &house{sys: sys}, err
}

// open is a house with one family of buckets in it.
func open(cfg bucket.Config) (*house, error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	if h.family, err = bucket.NewFamily(h.sys, "bench", cfg); err != nil {
		return nil, errors.Join(err, h.sys.Close(context.Background()))
	}
	return h, nil
}

// often is a limit for the keyed rows: as generous as plenty is for IDs that take turns, but small enough that the window
// remembers every single permit, as it does for the limits that users have.
var often = limit.Limit{Events: 256, Per: time.Millisecond}

// openPlenty is a house whose one bucket never refuses and is not passivated meanwhile.
func openPlenty() (*house, error) {
	return openLimit(limit.Limit{Events: plenty, Per: time.Second}, 1)
}

func openLimit(l limit.Limit, buckets int) (*house, error) {
	return open(bucket.Config{Limits: []limit.Limit{l}, MaxBuckets: buckets, Idle: time.Hour})
}

// close ends the house, and lets a failure to do so show in the row's error.
func (h *house) close(err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if cerr := h.sys.Close(ctx); cerr != nil {
		*err = errors.Join(*err, fmt.Errorf("close: %w", cerr))
	}
}

// spawn creates the buckets of all IDs, and returns when the family holds every one. Each is used a few times at once, so
// that its window has the room it will need: growing it is not what a pass costs.
func (h *house) spawn(ctx context.Context, ids []string) error {
	for i, id := range ids {
		for range 6 {
			if d := h.family.Bucket(id).TryAcquire(bucket.Request{}); d.Err != nil {
				return fmt.Errorf("bucket %d: %w", i, d.Err)
			}
		}
	}
	return poll(ctx, time.Minute, func() bool { return h.family.Len() >= len(ids) })
}

// poll waits until ok says so. The rows that use it measure seconds; a look every millisecond costs them nothing.
func poll(ctx context.Context, limit time.Duration, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for nothing: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func makeIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("user-%08d", i)
	}
	return ids
}
