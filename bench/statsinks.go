package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/actors/stat"
)

// arrivals counts what has reached a sink.
type arrivals struct {
	flushes, deltas, total atomic.Int64
	most                   atomic.Int64 // goroutines at any look
	want                   int64        // deltas
	all                    chan struct{}
}

// expect has the channel closed when n deltas more have come. It must not be called while any are under way.
func (a *arrivals) expect(n int) <-chan struct{} {
	a.all = make(chan struct{})
	a.want = a.deltas.Load() + int64(n)
	return a.all
}

// note counts a flush in, with the sum of its deltas.
func (a *arrivals) note(deltas int, total int64) {
	a.look()
	a.flushes.Add(1)
	a.total.Add(total)
	if a.deltas.Add(int64(deltas)) == a.want {
		close(a.all)
	}
}

// look looks at how many goroutines there are.
func (a *arrivals) look() {
	n := int64(runtime.NumGoroutine())
	for m := a.most.Load(); n > m && !a.most.CompareAndSwap(m, n); {
		m = a.most.Load()
	}
}

// watch has the arrivals look every millisecond, besides at each flush, until it is asked, once, for the most goroutines they
// saw, or ctx ends.
func (a *arrivals) watch(ctx context.Context) (most func() int) {
	stop, done := make(chan struct{}), make(chan struct{})
	a.most.Store(0)
	a.look()
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				a.look()
			case <-stop:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() int {
		a.look()
		close(stop)
		<-done
		return int(a.most.Load())
	}
}

// discards is a sink that stores nothing.
type discards struct{ *arrivals }

func (d discards) Flush(_ context.Context, f stat.Flush[string]) error {
	var total int64
	for _, delta := range f.Deltas {
		total += delta.N
	}
	d.note(len(f.Deltas), total)
	return nil
}

// destination is where a row's counts go, made anew for each round.
type destination struct {
	sink stat.Sink[string]
	// check says whether each key was stored as often as times its amount.
	check func(ctx context.Context, keys, times int) error
	close func() error
}

// watching is a sink that notes what another has stored.
type watching struct {
	stat.Sink[string]
	*arrivals
}

func (w watching) Flush(ctx context.Context, f stat.Flush[string]) error {
	err := w.Sink.Flush(ctx, f)
	if err == nil {
		w.note(len(f.Deltas), 0)
	}
	return err
}
