package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// poolAct is the third act: two customers have files worked on in pools, among functions that get out of hand in every way.
type poolAct struct {
	dir      string        // whose files; "" for Go's own where they are, or else the current directory
	files    int           // how many at most
	repeat   int           // how often each customer asks for each function that gets out of hand
	patience time.Duration // the MaxTime of what would never end, and after how long an operator kills
	duration time.Duration // after which no more files are asked for
	seed     uint64
}

const (
	// leastWorkers leave some to work with when two functions, one of each customer, have got stuck for good.
	leastWorkers = 4
	// overtime is how much longer than its duration the act may take, before whatever has not been answered is given up.
	overtime = 20 * time.Second
	// rest is how long it may take until nothing is held any more that should not be.
	rest = 10 * time.Second
)

// works are the pools of this act, with what is noted of them.
type works struct {
	act       poolAct
	system    *penstock.System
	machine   *pool.Pool // that the customers' pools delegate to
	customers []*customer
	digester  *digester
	snag      *snag
	gauge     *gauge
	book      *book
	answered  atomic.Int64
	skipped   atomic.Int64 // files that nobody asked for: the time was over
}

// customer asks one pool for its errands, several at a time.
type customer struct {
	number  int // in the gauge
	name    string
	pool    *pool.Pool
	callers int
	errands []errand
	next    atomic.Int64
	asked   atomic.Int64
}

// open starts the pools. As many functions run at once as there are processors. Neither customer may take all: one worker
// and the memory of the hungriest function are always left to the other.
func (a poolAct) open(plan [customers][]errand) (w *works, err error) {
	w = &works{act: a, digester: newDigester(), snag: newSnag(), book: newBook()}
	if w.system, err = penstock.New(penstock.WithName("demo"), penstock.WithLogger(slog.New(slog.DiscardHandler))); err != nil {
		return nil, err // the act tells itself what a log would
	}
	most := held{Workers: max(runtime.GOMAXPROCS(0), leastWorkers)}
	most.Memory = int64(most.Workers)*smallMemory + 2*hungryMemory
	w.machine, err = pool.New(w.system, "machine", pool.Config{MaxWorkers: most.Workers, MaxMemory: most.Memory})
	w.gauge = newGauge(most)
	for i, errands := range plan {
		if err != nil {
			break
		}
		c := &customer{number: i, name: customerNames[i], callers: most.Workers * callersPerWorker[i], errands: errands}
		share := held{Workers: most.Workers - 1, Memory: most.Memory - hungryMemory}
		c.pool, err = pool.New(w.system, c.name, pool.Config{
			MaxWorkers: share.Workers, MaxMemory: share.Memory, DelegateTo: w.machine, MaxWaiting: c.callers, Processes: processes(),
		})
		w.gauge.limits[i] = share
		w.customers = append(w.customers, c)
	}
	if err != nil {
		return nil, errors.Join(err, w.system.Close(context.Background()))
	}
	return w, nil
}

// run has the files of a tree worked on.
func (a poolAct) run(ctx context.Context, t tree, stderr io.Writer) (poolResult, error) {
	result, err := a.play(ctx, a.plan(t.files), stderr)
	result.Dir = t.dir
	return result, err
}

// play has both customers' errands done until all are answered or ctx ends; then it looks what is left.
func (a poolAct) play(ctx context.Context, plan [customers][]errand, stderr io.Writer) (poolResult, error) {
	before := children()
	w, err := a.open(plan)
	if err != nil {
		return poolResult{}, err
	}
	heap := watchHeap()
	running, stop := context.WithTimeout(ctx, a.duration+overtime)
	defer stop()
	start := time.Now()
	w.work(running, start.Add(a.duration), stderr)
	result := w.score(time.Since(start))
	result.Interrupted = ctx.Err() != nil

	w.settle(&result)
	if err := w.close(); err != nil {
		result.Close = err.Error()
	}
	result.Heap = heap.stop()
	result.Children = children().since(before)
	result.Broken = result.broken()
	result.Kept = len(result.Broken) == 0
	return result, nil
}

// work sends all callers of both customers out and returns when the last of them is back.
func (w *works) work(ctx context.Context, late time.Time, stderr io.Writer) {
	var callers, watcher sync.WaitGroup
	total := 0
	for _, c := range w.customers {
		total += len(c.errands)
		for range c.callers {
			callers.Go(func() { w.call(ctx, c, late) })
		}
	}
	watching, stop := context.WithCancel(ctx)
	watcher.Go(func() {
		progressOf(watching, stderr, "two customers, one machine", total, func() int { return int(w.answered.Load()) })
	})
	callers.Wait()
	stop()
	watcher.Wait()
}

// call is one caller: it asks for an errand after the other until there is none left or ctx ends.
func (w *works) call(ctx context.Context, c *customer, late time.Time) {
	for ctx.Err() == nil {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.errands) {
			w.gauge.oneLeft()
			return
		}
		e := c.errands[i]
		if e.kind.files() && time.Now().After(late) {
			w.skipped.Add(1)
			continue
		}
		c.asked.Add(1)
		asked := time.Now()
		d, err := pool.Run(ctx, c.pool, w.task(e), w.gauge.watched(c.number, kinds[e.kind].memory, w.function(e)))
		took, how := time.Since(asked), endingOf(err)
		if how == unreadable && w.readable(ctx, e.path) {
			how = strange
		}
		w.book.note(e.kind, d, how, err, took)
		w.answered.Add(1)
	}
}

// readable reports whether the same work without a pool succeeds: then it is not the file's fault that it failed in one.
func (w *works) readable(ctx context.Context, path string) bool {
	_, err := w.digester.file(ctx, path)
	return err == nil
}

// settle waits until nothing runs but what is stuck, takes that down, lets it go, and waits until nothing is held.
func (w *works) settle(r *poolResult) {
	ctx, stop := context.WithTimeout(context.Background(), rest)
	defer stop()
	_ = w.machine.Drain(ctx) // says how many are stuck, which Info tells as well
	// On a busy machine a process that was killed may take longer to be gone than a function may, before it counts as stuck.
	w.awaitLeft(ctx, w.snag.count())
	info := w.machine.Info()
	r.Held = held{Workers: info.Workers, Memory: info.Memory}
	for _, j := range info.Jobs {
		if j.Stuck {
			r.Stuck = append(r.Stuck, stuck{Task: j.Name, Customer: j.Pool, Stack: j.Stack})
		}
	}
	r.Deaf = w.snag.count()
	w.snag.release()
	r.Left = w.awaitLeft(ctx, 0)
}

// awaitLeft waits until so many workers are left that are taken, or ctx ends, and returns what is held then.
func (w *works) awaitLeft(ctx context.Context, workers int) held {
	left := w.left()
	for left.Workers != workers && ctx.Err() == nil {
		sleepUntil(ctx, time.Now().Add(time.Millisecond))
		left = w.left()
	}
	return left
}

// left is the most that any of the pools still holds.
func (w *works) left() (most held) {
	for _, i := range pool.Infos(w.system) {
		most = held{Workers: max(most.Workers, i.Workers), Memory: max(most.Memory, i.Memory)}
	}
	return most
}

// close closes the pools, and does not wait for ever where that does.
func (w *works) close() error {
	ctx, stop := context.WithTimeout(context.Background(), rest)
	defer stop()
	closed := make(chan error, 1)
	go func() { closed <- w.system.Close(ctx) }()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("the pools do not close: %w", err)
		}
		return nil
	case <-time.After(2 * rest):
		return fmt.Errorf("the pools are not closed after %v, and had %v for it", 2*rest, rest)
	}
}
