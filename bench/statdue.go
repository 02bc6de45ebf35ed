package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/penstock-go/penstock/actors/stat"
)

const (
	dueRounds     = 3                     // at most
	duePerKey     = 20 * time.Microsecond // of the interval: to count a key takes much less, so that all are due soon after the first
	dueTime       = 5 * time.Minute       // after which a row gives up
	dueShare      = 10                    // one of so many keys that stat/million has is due
	goroutinesBar = 100
)

// dueInterval is after what time the row's keys are due.
func dueInterval(keys int) time.Duration { return time.Duration(keys) * duePerKey }

// amounts is how many different ones there are.
const amounts = 7

// amount is what is counted for a key each time: not the same for all, so that counts which got to another key are found.
func amount(i int) int64 { return int64(1 + i%amounts) }

// due has every key of a buffer flushed at once, in each round twice: by FlushAll, into an empty table, and because their time
// has come, into rows that are there. A bar of 0 asks for nothing.
func due(ctx context.Context, s scale, into string, bar time.Duration, open func(context.Context, *arrivals) (destination, error)) ([]line, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dueTime, fmt.Errorf("not done after %v", dueTime))
	defer cancel()
	keys := makeIDs(max(1, s.buckets/dueShare))
	var asked, timed flushing
	for range min(s.rounds, dueRounds) {
		if err := dueRound(ctx, keys, open, &asked, &timed); err != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
	}
	what := fmt.Sprintf("%d keys due at once, %s", len(keys), into)
	most, before := max(asked.most, timed.most), max(asked.before, timed.before)
	peak := line{
		what: what + ": most goroutines", ours: fmt.Sprint(most), allocs: -1,
		note: fmt.Sprintf("of the whole process, looked at every millisecond and at each flush; %d before", before),
	}
	if bar > 0 {
		peak.bar, peak.met = fmt.Sprintf("≤ %d", goroutinesBar), most <= goroutinesBar
	}
	return []line{
		asked.line(what+", FlushAll", len(keys), bar, "every key has its actor; into an empty table"),
		timed.line(what+", by their interval", len(keys), bar, fmt.Sprintf("from when the first was due, which the last was %v later; a tick is %v",
			time.Duration(median(timed.spread)).Round(100*time.Microsecond), max(dueInterval(len(keys))/256, time.Millisecond).Round(100*time.Microsecond))),
		peak,
	}, nil
}

// flushing is what the rounds of one way of flushing all keys showed.
type flushing struct {
	wall, cpu    []float64 // ns for all keys
	spread       []float64 // ns between when the first key is due and when the last one is
	flushes      int64     // in all rounds
	before, most int       // goroutines
}

func (f *flushing) line(what string, keys int, bar time.Duration, how string) line {
	wall := median(f.wall)
	flushes := float64(f.flushes) / float64(len(f.wall))
	l := line{
		what: what, ours: time.Duration(wall).Round(time.Millisecond).String(), allocs: -1,
		note: fmt.Sprintf("%s; %.0f flushes of %.0f keys; %.0f keys a second; CPU time a key in this process, the sink's included: %.1f µs",
			how, flushes, float64(keys)/flushes, float64(keys)/wall*1e9, median(f.cpu)/1e3/float64(keys)),
	}
	if bar > 0 {
		l.bar, l.met = "≤ "+bar.String(), wall <= float64(bar)
	}
	return l
}

func dueRound(ctx context.Context, keys []string, open func(context.Context, *arrivals) (destination, error), asked, timed *flushing) (err error) {
	var came arrivals
	to, err := open(ctx, &came)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	h, err := openEmpty()
	if err != nil {
		return err
	}
	defer h.close(&err)
	if err := h.dueWhenAsked(ctx, keys, to, &came, asked); err != nil {
		return err
	}
	if err := to.check(ctx, len(keys), 1); err != nil {
		return err
	}
	if err := h.dueInTime(ctx, keys, to, &came, timed); err != nil {
		return err
	}
	return to.check(ctx, len(keys), 3)
}

// dueWhenAsked counts every key once, and has all of them flushed by FlushAll.
func (h *house) dueWhenAsked(ctx context.Context, keys []string, to destination, came *arrivals, f *flushing) error {
	b, err := h.buffer("asked", to.sink, neverDue, len(keys))
	if err != nil {
		return err
	}
	if err := h.warm(ctx, b, keys); err != nil {
		return err
	}
	end := f.begin(ctx, came)
	if err := b.FlushAll(ctx); err != nil {
		return err
	}
	end(0)
	return b.Close(ctx)
}

// dueInTime counts every key twice. The first time is only so that the keys are there and the second takes little more than
// a tick.
func (h *house) dueInTime(ctx context.Context, keys []string, to destination, came *arrivals, f *flushing) error {
	b, err := h.buffer("timed", to.sink, dueInterval(len(keys)), len(keys))
	if err != nil {
		return err
	}
	if err := h.warm(ctx, b, keys); err != nil {
		return err
	}
	if err := b.FlushAll(ctx); err != nil {
		return err
	}
	all := came.expect(len(keys))
	end := f.begin(ctx, came)
	began := time.Now()
	if err := fill(ctx, b, keys, amount); err != nil {
		return err
	}
	f.spread = append(f.spread, float64(time.Since(began)))
	select {
	case <-all:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	end(dueInterval(len(keys)))
	return b.Close(ctx)
}

// warm counts every key, and waits until each has its actor.
func (h *house) warm(ctx context.Context, b *stat.Buffer[string], keys []string) error {
	before := h.started()
	if err := fill(ctx, b, keys, amount); err != nil {
		return err
	}
	return h.settle(ctx, before, len(keys))
}

// begin begins to measure; end ends it, and is told for how long nothing was to be done.
func (f *flushing) begin(ctx context.Context, came *arrivals) (end func(rest time.Duration)) {
	runtime.GC()
	f.before = max(f.before, runtime.NumGoroutine())
	flushes := came.flushes.Load()
	most := came.watch(ctx)
	cpu, began := cpuTime(), time.Now()
	return func(rest time.Duration) {
		f.wall = append(f.wall, float64(time.Since(began)-rest))
		f.cpu = append(f.cpu, float64(cpuTime()-cpu))
		f.most = max(f.most, most())
		f.flushes += came.flushes.Load() - flushes
	}
}
