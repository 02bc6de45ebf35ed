package stat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// world is what the model does to a buffer: drawn before the buffer is made, because a bubble's time must not depend on it.
type world struct {
	cfg      Config[string]
	failures []outcome
	steps    []move
	patience time.Duration // of Close; 0: it is awaited
}

// outcome is what the sink does with a call; those after the last of the list work.
type outcome uint8

const (
	works outcome = iota
	failsBefore
	failsAfter // it has stored everything
	refuses
	panics
	panicsAfter
	exits
	hangs
	isSlow
	outcomes
)

type move struct {
	what  uint8
	key   string
	n     int64
	pause time.Duration
}

const (
	doIncrement uint8 = iota
	doCount
	doFlush
	doFlushAsync
	doFlushAll
	doCrash
	doSleep
	doIdle
	moves
)

var drawOutcome = rapid.Custom(func(t *rapid.T) outcome {
	return outcome(rapid.IntRange(0, int(outcomes)-1).Draw(t, "outcome"))
})

var drawMove = rapid.Custom(func(t *rapid.T) move {
	m := move{what: rapid.SampledFrom([]uint8{
		doIncrement, doIncrement, doIncrement, doIncrement, doCount, doCount, doFlush, doFlushAsync, doFlushAll, doCrash, doSleep, doSleep, doIdle,
	}).Draw(t, "what")}
	m.key = fmt.Sprint("key-", rapid.IntRange(0, 7).Draw(t, "key"))
	m.n = rapid.Int64Range(-3, 20).Draw(t, "n")
	m.pause = time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond
	return m
})

func drawWorld(t *rapid.T) world {
	w := world{
		cfg: Config[string]{
			Interval:     time.Duration(rapid.IntRange(20, 4000).Draw(t, "interval")) * time.Millisecond,
			Jitter:       time.Duration(rapid.IntRange(0, 1000).Draw(t, "jitter")) * time.Millisecond,
			Backoff:      time.Duration(rapid.IntRange(20, 2000).Draw(t, "back-off")) * time.Millisecond,
			FlushTimeout: 3 * time.Second,
			MaxBatch:     rapid.IntRange(1, 5).Draw(t, "batch"),
			MaxFlushes:   rapid.IntRange(1, 3).Draw(t, "flushes"),
			Idle:         time.Duration(rapid.IntRange(100, 3000).Draw(t, "idle")) * time.Millisecond,
			MaxKeys:      rapid.IntRange(2, 9).Draw(t, "keys"),
		},
		failures: rapid.SliceOfN(drawOutcome, 0, 30).Draw(t, "failures"),
		steps:    rapid.SliceOfN(drawMove, 1, 60).Draw(t, "steps"),
	}
	if rapid.IntRange(0, 2).Draw(t, "gives up") == 0 {
		w.cfg.MaxAttempts = rapid.IntRange(1, 3).Draw(t, "attempts")
	}
	if rapid.IntRange(0, 3).Draw(t, "overflow") == 0 {
		w.cfg.Overflow = new("others")
	}
	if rapid.Bool().Draw(t, "impatient") {
		w.patience = time.Duration(rapid.IntRange(1, 4000).Draw(t, "patience")) * time.Millisecond
	}
	return w
}

// answer is the sink's.
func (o outcome) answer(ctx context.Context, store func()) error {
	switch o {
	case failsBefore:
		return errUnsure
	case failsAfter:
		store()
		return errUnsure
	case refuses:
		return fmt.Errorf("no: %w", ErrNotStored)
	case panics:
		panic("before")
	case panicsAfter:
		store()
		panic("after")
	case exits:
		runtime.Goexit()
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	case isSlow:
		time.Sleep(2500 * time.Millisecond)
	}
	store()
	return nil
}

// moody is a table that does what the model has drawn.
type moody struct {
	*table[string]
	failures chan outcome
}

func (m moody) Flush(ctx context.Context, f Flush[string]) error {
	m.look(f)
	next := works
	select {
	case next = <-m.failures:
	default:
	}
	if m.has(f.ID) && next == refuses { // it knows better: see ErrNotStored
		next = works
	}
	return next.answer(ctx, func() { m.store(f) })
}

// TestG8_NothingIsLostAndNothingIsStoredTwice compares, for each key, what was accepted with what was stored and dropped.
func TestG8_NothingIsLostAndNothingIsStoredTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		var err error
		synctest.Test(t, func(t *testing.T) { err = w.run(t) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func (w world) run(t *testing.T) error {
	sink := moody{newTable[string](), make(chan outcome, len(w.failures))}
	for _, o := range w.failures {
		sink.failures <- o
	}
	var bin dropped[string]
	w.cfg.Sink, w.cfg.Dropped = sink, bin.take
	b := newBuffer(t, w.cfg)
	var waiting roomtest.Callers
	accepted := make(map[string]int64)
	for i, m := range w.steps {
		err := w.step(t, b, m, accepted, &waiting)
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		if n := b.Info().Keys; n > w.cfg.MaxKeys+1 {
			return fmt.Errorf("step %d: there are %d keys", i, n)
		}
	}
	if err := w.end(t, b, &waiting); err != nil {
		return err
	}
	return w.compare(sink.table, &bin, accepted)
}

func (w world) step(t *testing.T, b *Buffer[string], m move, accepted map[string]int64, waiting *roomtest.Callers) error {
	switch m.what {
	case doIncrement:
		key, add := m.key, func(n int64) error { return b.Increment(m.key, n) }
		if m.n%2 == 1 {
			add = b.Counter(m.key).Add
		}
		_, known := b.ledger.family.Lookup(key)
		before := b.Info().Keys
		switch err := add(m.n); {
		case err == nil:
			if _, ok := b.ledger.family.Lookup(key); !ok && w.cfg.Overflow != nil {
				key = *w.cfg.Overflow
			}
			accepted[key] += m.n
		case !errors.Is(err, penstock.ErrFull) || known || before < w.cfg.MaxKeys:
			return err
		}
	case doCount:
		if n, ok := b.Count(m.key); !ok && n != 0 {
			return fmt.Errorf("the count of %s is nothing and %d", m.key, n)
		}
	case doFlush:
		waiting.Call(func() error { return b.Flush(roomtest.Within(t, m.pause), m.key) })
	case doFlushAsync:
		return b.FlushAsync(m.key)
	case doFlushAll:
		waiting.Call(func() error { return b.FlushAll(context.Background()) })
	case doCrash:
		crash(b.ledger, m.key)
		synctest.Wait()
	case doSleep:
		time.Sleep(m.pause)
	case doIdle:
		time.Sleep(10 * m.pause)
	}
	return nil
}

// end closes the buffer. Everybody who waits is answered, and an error of Close says that something was not stored.
func (w world) end(t *testing.T, b *Buffer[string], waiting *roomtest.Callers) error {
	ctx := context.Background()
	if w.patience > 0 {
		ctx = roomtest.Within(t, w.patience)
	}
	err := b.Close(ctx)
	var left *NotStoredError
	if err != nil && (!errors.As(err, &left) || left.Keys == 0 || w.patience == 0) {
		return fmt.Errorf("Close: %w", err)
	}
	time.Sleep(10 * time.Second) // for attempts that were under way
	synctest.Wait()
	waiting.Wait()
	for _, err := range waiting.Strange() {
		if !errors.Is(err, ErrDropped) || w.cfg.MaxAttempts == 0 {
			return err
		}
	}
	if n := b.ledger.family.Len(); n != 0 {
		return fmt.Errorf("%d keys are left", n)
	}
	return nil
}

// compare is the ledger. What was dropped under an ID may have been stored under it: then its Dropped says so twice.
func (w world) compare(sink *table[string], bin *dropped[string], accepted map[string]int64) error {
	if len(sink.strange) > 0 {
		return fmt.Errorf("flushes: %v", sink.strange)
	}
	got := sink.all()
	for _, f := range bin.flushes {
		if sink.ids[f.ID] != nil {
			continue
		}
		for _, d := range f.Deltas {
			got[d.Key] += d.N
		}
	}
	for _, sums := range []map[string]int64{got, accepted} {
		maps.DeleteFunc(sums, func(_ string, n int64) bool { return n == 0 })
	}
	if !maps.Equal(got, accepted) {
		return fmt.Errorf("accepted %v, stored or dropped %v, of which dropped %v", accepted, got, bin.all())
	}
	return nil
}

// TestG8_CountNeverForgets compares Count with what was accepted and not stored after every step, with a sink that fails cleanly.
func TestG8_CountNeverForgets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		w.cfg.MaxAttempts, w.cfg.Overflow, w.patience = 0, nil, 0
		for i, o := range w.failures {
			if o == failsAfter || o == panicsAfter {
				w.failures[i] = refuses
			}
		}
		var err error
		synctest.Test(t, func(t *testing.T) {
			sink := moody{newTable[string](), make(chan outcome, len(w.failures))}
			for _, o := range w.failures {
				sink.failures <- o
			}
			w.cfg.Sink = sink
			b := newBuffer(t, w.cfg)
			accepted := make(map[string]int64)
			var waiting roomtest.Callers
			for i, m := range w.steps {
				if err = w.step(t, b, m, accepted, &waiting); err != nil {
					return
				}
				synctest.Wait()
				for _, key := range names(8) {
					n, _ := b.Count(key)
					if n+sink.sum(key) != accepted[key] {
						err = fmt.Errorf("step %d: %s: counted %d and stored %d, of %d", i, key, n, sink.sum(key), accepted[key])
						return
					}
				}
			}
			err = w.end(t, b, &waiting)
			require.Empty(t, sink.strange)
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
