package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/penstock-go/penstock/actors/queue"
)

const (
	loadCounter  = 2
	loadJob      = 5 * time.Millisecond
	loadTimes    = 5 // arrivals are so many times what can be served
	loadPatience = 10 * loadJob
	loadWaiting  = 50 // requests that may wait
	loadRounds   = 3

	goodputBar = 0.9       // of capacity
	heapBar    = 256 << 10 // bytes of live heap more after than before
)

// guard is what stands in front of the job: it runs it, or says that it will not.
type guard struct {
	name string
	run  func(context.Context, func(context.Context) error) error
}

// sleeps is a job that takes its time, whatever becomes of its caller. It takes a timer's time and not a core's: a busy
// machine would make the capacity change from one moment to the next.
func sleeps(context.Context) error {
	time.Sleep(loadJob)
	return nil
}

// queueOverload lets requests arrive far faster than they can be served, each with a deadline, whether or not earlier ones
// were answered. Goodput is what is done in time; capacity is what the same guard lets through when as many callers as
// are good for it ask again and again, measured in turn with it.
func queueOverload(ctx context.Context, s scale) (lines []line, err error) {
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	defer h.close(&err)
	for _, order := range []queue.Order{queue.Adaptive, queue.FIFO} {
		q, err := queue.Add(h.sys, order.String(), queue.Config{
			Regulators: []queue.Regulator{queue.Counter{Limit: loadCounter}}, Order: order, MaxSize: loadWaiting,
		})
		if err != nil {
			return nil, err
		}
		g := guard{"queue, " + order.String(), func(ctx context.Context, job func(context.Context) error) error {
			return q.Run(ctx, queue.Request{}, job)
		}}
		r, err := overloaded(ctx, s, g)
		if err != nil {
			return nil, err
		}
		goodput := r.goodput(g)
		if order == queue.Adaptive {
			goodput.bar, goodput.met = fmt.Sprintf("≥ %.0f %%", 100*goodputBar), r.share() >= goodputBar
			lines = append(lines, goodput, r.refusals(), r.heap())
			continue
		}
		lines = append(lines, goodput)
	}
	sem := semaphore.NewWeighted(loadCounter)
	g := guard{"x/sync/semaphore", func(ctx context.Context, job func(context.Context) error) error {
		if err := sem.Acquire(ctx, 1); err != nil {
			return err
		}
		defer sem.Release(1)
		return job(ctx)
	}}
	r, err := overloaded(ctx, s, g)
	if err != nil {
		return nil, err
	}
	return append(lines, r.goodput(g)), nil
}

// loadResult is what became of the arrivals.
type loadResult struct {
	capacity, good []float64       // jobs a second, in each round
	arrived, late  int64           // requests; jobs that were done too late
	full           []time.Duration // how long it took to be refused, of those who did not wait
	waited         int64           // requests that waited in vain
	before, after  uint64          // live heap
}

func (r *loadResult) share() float64 {
	var ratios []float64
	for i := range r.good {
		ratios = append(ratios, r.good[i]/r.capacity[i])
	}
	return median(ratios)
}

func (r *loadResult) goodput(g guard) line {
	return line{
		what: fmt.Sprintf("%d times overload, %s: goodput of capacity", loadTimes, g.name), allocs: -1,
		ours: fmt.Sprintf("%.1f %%", 100*r.share()),
		note: fmt.Sprintf("%s: %.0f done in time a second, capacity %.0f; of %d that arrived %d were done too late, %d refused at once, %d waited in vain; deadline %v, jobs %v, median of %d rounds",
			g.name, median(r.good), median(r.capacity), r.arrived, r.late, len(r.full), r.waited, loadPatience, loadJob, len(r.good)),
	}
}

func (r *loadResult) refusals() line {
	l := line{
		what: "overloaded queue: refused at once, p99", ours: "none", allocs: -1, bar: fmt.Sprintf("≤ %v", refusalBar),
		note: fmt.Sprintf("%d refusals", len(r.full)),
	}
	if len(r.full) > 0 {
		slices.Sort(r.full)
		p99 := r.full[len(r.full)*99/100]
		l.ours, l.met = p99.String(), p99 <= refusalBar
		l.note += fmt.Sprintf("; median %v, longest %v", r.full[len(r.full)/2], r.full[len(r.full)-1])
	}
	return l
}

func (r *loadResult) heap() line {
	grown := int64(r.after) - int64(r.before)
	return line{
		what: "overloaded queue: live heap", ours: fmt.Sprintf("%+.0f kB", float64(grown)/1e3), allocs: -1,
		bar: fmt.Sprintf("≤ %+d kB", heapBar/1000), met: grown <= heapBar,
		note: fmt.Sprintf("live heap %.2f MB after one overload, %.2f MB after %d more", mb(r.before), mb(r.after), loadRounds),
	}
}

func overloaded(ctx context.Context, s scale, g guard) (r loadResult, err error) {
	closed, open := s.accuracy/10, s.accuracy/4
	capacity, err := closedLoop(ctx, g, closed)
	if err != nil {
		return r, err
	}
	if err := openLoop(ctx, g, capacity*loadTimes, open, &loadResult{}); err != nil { // warms up
		return r, err
	}
	r.full = make([]time.Duration, 0, int(2*capacity*loadTimes*open.Seconds()*loadRounds))
	r.before = liveHeap()
	for range loadRounds {
		if capacity, err = closedLoop(ctx, g, closed); err != nil {
			return r, err
		}
		r.capacity = append(r.capacity, capacity)
		if err := openLoop(ctx, g, capacity*loadTimes, open, &r); err != nil {
			return r, err
		}
	}
	r.after = liveHeap()
	return r, nil
}

// closedLoop is how many jobs a second get through when the room is always wanted and nobody is in a hurry.
func closedLoop(ctx context.Context, g guard, length time.Duration) (float64, error) {
	var (
		wg   sync.WaitGroup
		done atomic.Int64
		errs [2 * loadCounter]error
	)
	began := time.Now()
	for c := range errs {
		wg.Go(func() {
			for time.Since(began) < length && errs[c] == nil {
				errs[c] = g.run(ctx, sleeps)
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), errors.Join(errs[:]...)
}

// openLoop lets requests arrive at this rate for a while, and adds what became of them.
func openLoop(ctx context.Context, g guard, perSecond float64, length time.Duration, r *loadResult) error {
	var (
		wg                     sync.WaitGroup
		mu                     sync.Mutex
		good, late, waited, in int64
	)
	began := time.Now()
	end := began.Add(length)
	request := func() {
		ctx, cancel := context.WithTimeout(ctx, loadPatience)
		defer cancel()
		asked := time.Now()
		deadline, _ := ctx.Deadline()
		err := g.run(ctx, sleeps)
		now := time.Now()
		var refused *queue.RefusedError
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && now.After(deadline):
			late++
		case err == nil:
			if now.Before(end) { // those that end later belong to no second of the round
				good++
			}
		case errors.As(err, &refused) && refused.Waited == 0:
			r.full = append(r.full, now.Sub(asked))
		default:
			waited++
		}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for now := began; now.Before(end) && ctx.Err() == nil; now = time.Now() {
		for ; float64(in) < perSecond*now.Sub(began).Seconds(); in++ {
			wg.Go(request)
		}
		<-tick.C
	}
	wg.Wait()
	r.good = append(r.good, float64(good)/length.Seconds())
	r.arrived, r.late, r.waited = r.arrived+in, r.late+late, r.waited+waited
	return ctx.Err()
}
