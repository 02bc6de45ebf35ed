package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
)

// statAct is the fourth act: requests are counted, by path and by client, into a SQLite file whose answers get lost now and
// then, and which somebody else locks.
type statAct struct {
	log      string        // whose requests; "" draws some
	file     string        // that is counted into; "" makes one among the system's temporary files
	duration time.Duration // for which requests are drawn
	seed     uint64
}

const (
	// leastCounters count even on a machine with fewer processors, so that there are always some that meet.
	leastCounters = 4
	// inOneGo is how many requests a counter takes at a time.
	inOneGo = 500
	// countInterval is how long counts stay in memory: ten times shorter than a service would have them, for the act is short.
	countInterval = 500 * time.Millisecond
	// countBackoff is how long a flush that failed waits at first.
	countBackoff = 20 * time.Millisecond
	// countKeys bounds the memory: 1 KiB a key, in each buffer.
	countKeys = 100_000
)

// tallying is the act under way.
type tallying struct {
	system   *penstock.System
	counts   *countsFile
	hits     *stat.Buffer[hit]
	clients  *stat.Buffer[string]
	faults   *faults
	intruder *intruder
}

// place makes the file, and says where it is. One that is there already is left alone.
func (a statAct) place() (statAct, error) {
	var file *os.File
	var err error
	if a.file == "" {
		file, err = os.CreateTemp("", "penstock-counts-*.db")
	} else {
		file, err = os.OpenFile(a.file, os.O_CREATE|os.O_EXCL, 0o644)
	}
	if err != nil {
		return a, err
	}
	a.file, err = filepath.Abs(file.Name())
	return a, errors.Join(err, file.Close())
}

// open starts the buffers.
func (a statAct) open(ctx context.Context) (*tallying, error) {
	t := &tallying{faults: newFaults()}
	var err error
	if t.system, err = penstock.New(penstock.WithName("demo"), penstock.WithLogger(slog.New(slog.DiscardHandler))); err != nil {
		return nil, err // the act tells itself what a log would
	}
	t.counts, err = openCounts(ctx, a.file)
	if err == nil {
		t.intruder, err = newIntruder(a.file, t.faults)
	}
	if err == nil {
		t.hits, err = stat.NewBuffer(t.system, "hits", countConfig(t.counts.hits, t.faults))
	}
	if err == nil {
		t.clients, err = stat.NewBuffer(t.system, "clients", countConfig(t.counts.clients, t.faults))
	}
	if err != nil {
		return nil, errors.Join(err, t.system.Close(context.Background()), t.counts.close(), t.intruder.close())
	}
	return t, nil
}

func countConfig[K comparable](sink stat.Sink[K], f *faults) stat.Config[K] {
	return stat.Config[K]{
		Sink: shaky[K]{sink, f}, Interval: countInterval, Backoff: countBackoff, MaxBackoff: 8 * countBackoff, MaxKeys: countKeys,
	}
}

// run counts everything that comes, closes the buffers, and compares what is in the file.
func (a statAct) run(ctx context.Context, s *source, stderr io.Writer) (r statResult, err error) {
	t, err := a.open(context.WithoutCancel(ctx))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.counts.close(), t.intruder.close()) }()
	heap, backlog := watchHeap(), watchUnstored(t)
	begun := make(chan struct{})
	intruding, leave := context.WithCancel(context.WithoutCancel(ctx)) // it must not end before the buffers have met it
	left := make(chan struct{})
	go func() {
		defer close(left)
		t.intruder.run(intruding, begun)
	}()
	<-begun
	start := time.Now()
	failed := t.work(ctx, a.duration, s, stderr)
	r.Counting = time.Since(start)
	closed := t.close()
	r.Elapsed = time.Since(start)
	leave()
	<-left
	r.Backlog, r.Heap = backlog.stop(), heap.stop()
	r.Interrupted = ctx.Err() != nil
	if err := errors.Join(failed, s.failure()); err != nil {
		return r, errors.Join(err, closed)
	}
	if closed != nil {
		r.Close = closed.Error()
	}
	r.File, r.Seed = a.file, a.seed
	s.tell(&r)
	if err := t.score(context.WithoutCancel(ctx), s.want(), &r); err != nil {
		return r, err
	}
	r.Broken = r.broken()
	r.Kept = len(r.Broken) == 0
	return r, nil
}

// work has several goroutines count until there is nothing more to count or ctx ends.
func (t *tallying) work(ctx context.Context, d time.Duration, s *source, stderr io.Writer) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if s.log == nil {
		end := time.AfterFunc(d, func() { stop(errOver) })
		defer end.Stop()
	}
	watching, done := context.WithCancel(running)
	var counters, watcher sync.WaitGroup
	watcher.Go(func() { s.progress(watching, stderr, d) })
	for _, take := range s.takers {
		counters.Go(func() {
			if err := t.count(running, take); err != nil {
				stop(err)
			}
		})
	}
	counters.Wait()
	done()
	watcher.Wait()
	switch cause := context.Cause(running); {
	case errors.Is(cause, errOver), ctx.Err() != nil && errors.Is(cause, context.Cause(ctx)):
		return nil
	default:
		return cause
	}
}

// count is one of the goroutines. It counts all that it has taken, whatever ends it.
func (t *tallying) count(ctx context.Context, take taker) error {
	requests := make([]request, inOneGo)
	for ctx.Err() == nil {
		n, err := take(requests)
		for _, r := range requests[:n] {
			if err := increment(ctx, t.hits, r.hit); err != nil {
				return err
			}
			if err := increment(ctx, t.clients, r.client); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// increment counts one. A buffer that is full has room again when what it holds is stored.
func increment[K comparable](ctx context.Context, b *stat.Buffer[K], key K) error {
	for {
		err := b.Increment(key, 1)
		if !errors.Is(err, penstock.ErrFull) {
			return err
		}
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), overtime)
		err = b.FlushAll(ctx)
		stop()
		if err != nil {
			return err
		}
	}
}

// close stores what is not stored yet.
func (t *tallying) close() error {
	ctx, stop := context.WithTimeout(context.Background(), overtime)
	defer stop()
	return t.system.Close(ctx)
}

// countersHere is how many goroutines count.
func countersHere() int { return max(runtime.GOMAXPROCS(0), leastCounters) }

// discard removes the file of an act that came to nothing.
func (a statAct) discard() error {
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(a.file + suffix) // as a rule SQLite has
	}
	if err := os.Remove(a.file); err != nil {
		return fmt.Errorf("the empty file is left: %w", err)
	}
	return nil
}
