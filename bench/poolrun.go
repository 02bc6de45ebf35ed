package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/alitto/pond/v2"

	"github.com/penstock-go/penstock/actors/pool"
)

const (
	poolCallers = 16
	poolRunBar  = 2000.0 // ns a task, with poolCallers callers
	composedBar = 1.3    // times one pool
	killBar     = time.Millisecond
)

// tiny is a function that does next to nothing, so that a row measures what it costs to run it.
func tiny(context.Context) (int, error) { return 1, nil }

// calling is a side that makes a call again and again.
func calling(name string, call func() error) side {
	return side{name: name, calls: func(_, n int) (refused int) {
		for range n {
			if call() != nil {
				refused++
			}
		}
		return refused
	}}
}

// poolRuns is a side that runs a tiny function through a pool.
func poolRuns(ctx context.Context, name string, p *pool.Pool) side {
	return calling(name, func() error {
		_, err := pool.Run(ctx, p, pool.Task{}, tiny)
		return err
	})
}

func poolPond(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	p, err := pool.New(h.sys, "bench", pool.Config{})
	if err != nil {
		return nil, err
	}
	theirs := pond.NewResultPool[int](100)
	defer theirs.StopAndWait()
	submits := calling("pond v2 ResultPool, SubmitErr + Wait", func() error {
		_, err := theirs.SubmitErr(func() (int, error) { return tiny(ctx) }).Wait()
		return err
	})
	for _, callers := range []int{1, poolCallers} {
		l, err := comparison(ctx, s, fmt.Sprintf("run of a tiny function, %d callers, against pond", callers), callers, poolRuns(ctx, "Run", p), submits, 0)
		if err != nil {
			return nil, err
		}
		if callers == poolCallers {
			var ns float64
			_, _ = fmt.Sscan(l.ours, &ns)
			l.bar, l.met = fmt.Sprintf("≤ %.0f ns, < 1", poolRunBar), ns <= poolRunBar && l.ratio < 1
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func poolComposed(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	shared, err := pool.New(h.sys, "shared", pool.Config{})
	if err != nil {
		return nil, err
	}
	customer, err := pool.New(h.sys, "customer", pool.Config{DelegateTo: shared})
	if err != nil {
		return nil, err
	}
	alone, err := pool.New(h.sys, "alone", pool.Config{})
	if err != nil {
		return nil, err
	}
	l, err := comparison(ctx, s, fmt.Sprintf("through two composed pools, %d callers, against one", poolCallers), poolCallers,
		poolRuns(ctx, "a pool that delegates to another", customer), poolRuns(ctx, "one pool", alone), 0)
	if err != nil {
		return nil, err
	}
	l.bar, l.met = fmt.Sprintf("≤ %.1f", composedBar), l.ratio <= composedBar
	return []line{l}, nil
}

// poolKill measures how long it takes from a kill until the caller has its answer, of functions that ignore the end of
// their context.
func poolKill(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	p, err := pool.New(h.sys, "bench", pool.Config{MaxWorkers: 1000})
	if err != nil {
		return nil, err
	}
	release := make(chan struct{})
	defer close(release)
	took := make([]time.Duration, 0, 500)
	for range cap(took) {
		started, answered := make(chan struct{}), make(chan time.Time)
		go func() {
			_, _ = pool.Run(ctx, p, pool.Task{Name: "deaf"}, func(context.Context) (int, error) {
				close(started)
				<-release
				return 0, nil
			})
			answered <- time.Now()
		}()
		<-started
		began := time.Now()
		if n := p.Kill("deaf", nil); n != 1 {
			return nil, fmt.Errorf("killed %d, not 1", n)
		}
		took = append(took, (<-answered).Sub(began))
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	return []line{{
		what: "kill, until the caller is answered (p99)", ours: p99.String(), bar: "≤ " + killBar.String(), met: p99 <= killBar,
		note: fmt.Sprintf("median %v, longest %v of %d; the functions ignore the end of their context", took[len(took)/2], took[len(took)-1], len(took)),
	}}, nil
}
