package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
)

// race is the first act: three kinds of clients with the same demand, at the same time, each against a strict API of its own.
type race struct {
	rule     strict.Rule
	slack    time.Duration // the distance that Penstock keeps from the rule
	duration time.Duration
	users    int
	seed     uint64
}

// run holds the race until its duration is over or ctx ends, then reads the APIs' records.
func (r race) run(ctx context.Context, stderr io.Writer) (result raceResult, err error) {
	contestants, err := r.contestants()
	defer func() { err = errors.Join(err, closeAll(contestants)) }()
	if err != nil {
		return result, err
	}
	for _, c := range contestants {
		if err := c.connect(ctx); err != nil {
			return result, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	users := demand(r.seed, r.users, r.rule, r.duration)
	var done sync.WaitGroup
	start := time.Now()
	// The end is a plain cancellation: some limiters refuse to begin a wait that a deadline would cut off.
	end := time.AfterFunc(r.duration, func() { stop(errOver) })
	defer end.Stop()
	for _, c := range contestants {
		for _, u := range users {
			c.live(running, &done, u, start, stop)
		}
	}
	progress(running, stderr, "three kinds of clients, one demand", r.duration)
	done.Wait()
	elapsed := time.Since(start)
	switch cause := context.Cause(running); {
	case errors.Is(cause, errOver):
		return r.score(contestants, elapsed), nil
	case ctx.Err() != nil:
		result = r.score(contestants, elapsed)
		result.Interrupted = true
		return result, nil
	default:
		return result, cause
	}
}

// errOver ends a race that took its time.
var errOver = errors.New("the race is over")

// live sends what u wants until ctx ends. Any failure but that end is told to fail.
func (c *contestant) live(ctx context.Context, done *sync.WaitGroup, u user, start time.Time, fail func(error)) {
	want := func(p priority, since time.Time) {
		err := c.client.get(ctx, u.key, p)
		c.waits[p].add(time.Since(since), err == nil)
		if err != nil && ctx.Err() == nil {
			fail(fmt.Errorf("%s: %w", c.name, err))
		}
	}
	done.Go(func() {
		if !sleepUntil(ctx, start.Add(u.backlog)) {
			return
		}
		for range backlog {
			done.Go(func() {
				for ctx.Err() == nil {
					want(background, time.Now())
				}
			})
		}
	})
	done.Go(func() {
		for _, after := range u.interactive {
			since := start.Add(after)
			if !sleepUntil(ctx, since) {
				return
			}
			done.Go(func() { want(interactive, since) })
		}
	})
}

// sleepUntil reports whether t came before ctx ended.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
