package stat

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/internal/roomtest"
)

// lifeStep is one thing that is done to a buffer before it dies.
type lifeStep struct {
	what int
	key  string
	n    int64
	wait time.Duration
}

const (
	lifeIncrement = iota
	lifeDurable
	lifeFlush
	lifeBreak     // from now on the sink fails after it has stored
	lifeCut       // … before it has
	lifeNotStored // … and says so
	lifeMend
	lifeWait
)

func drawLife(t *rapid.T) []lifeStep {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lifeStep {
		return lifeStep{
			what: rapid.SampledFrom([]int{
				lifeIncrement, lifeIncrement, lifeIncrement, lifeDurable, lifeFlush, lifeBreak, lifeCut, lifeNotStored, lifeMend, lifeWait, lifeWait,
			}).Draw(t, "what"),
			key:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
			n:    rapid.Int64Range(-3, 9).Draw(t, "n"),
			wait: time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond,
		}
	}), 1, 40).Draw(t, "steps")
}

// The buffer dies at a random moment, several times over: its journal is copied as it is on disk, and another buffer goes on
// with the copy. What was durable, and what was counted longer ago than Every, is stored once; nothing is stored that was not
// counted.
func TestG8_TheJournalLosesNoMoreThanItSays(t *testing.T) {
	folder := t.TempDir()
	number := 0
	rapid.Check(t, func(rt *rapid.T) {
		lives := rapid.SliceOfN(rapid.Custom(drawLife), 1, 4).Draw(rt, "lives")
		rewrite := rapid.Bool().Draw(rt, "rewrite")
		number++
		var failure error
		synctest.Test(t, func(t *testing.T) {
			failure = die(t, filepath.Join(folder, fmt.Sprint(number)), lives, rewrite)
		})
		if failure != nil {
			rt.Fatal(failure)
		}
	})
}

// lifeCount is an increment, and whether it may be lost.
type lifeCount struct {
	key  string
	n    int64
	at   time.Time
	safe bool
}

func die(t *testing.T, path string, lives [][]lifeStep, rewrite bool) error {
	sink := newLifeSink()
	sums := make(map[string]int64) // of what is in the journal for certain
	for life, list := range lives {
		at := fmt.Sprint(path, "-", life)
		b, alive := openLife(t, at, sink, rewrite)
		var done []lifeCount
		for _, s := range list {
			switch s.what {
			case lifeIncrement:
				if err := b.Increment(s.key, s.n); err != nil {
					return err
				}
				done = append(done, lifeCount{s.key, s.n, time.Now(), false})
			case lifeDurable:
				if err := b.IncrementDurable(context.Background(), s.key, s.n); err != nil {
					return err
				}
				done = append(done, lifeCount{s.key, s.n, time.Now(), true})
			case lifeFlush:
				if err := b.FlushAsync(s.key); err != nil {
					return err
				}
			case lifeBreak:
				sink.fail(nil, errors.New("cut after the commit"))
			case lifeCut:
				sink.fail(errors.New("cut before the commit"), nil)
			case lifeNotStored:
				sink.fail(ErrNotStored, nil)
			case lifeMend:
				sink.fail(nil, nil)
			case lifeWait:
				time.Sleep(s.wait)
			}
		}
		synctest.Wait()
		died := time.Now()
		*alive = false
		if err := b.copyJournal(fmt.Sprint(path, "-", life+1, "-first")); err != nil {
			return err
		}
		sink.fail(nil, nil)
		// What is stored and in the journal now tells which of the unsafe ones it has; the safe ones must be among them.
		least, most := make(map[string]int64), make(map[string]int64)
		for _, c := range done {
			safe := c.safe || died.Sub(c.at) >= every
			low, high := min(c.n, 0), max(c.n, 0)
			if safe {
				low, high = c.n, c.n
			}
			least[c.key], most[c.key] = least[c.key]+low, most[c.key]+high
		}
		next, alive := openLife(t, fmt.Sprint(path, "-", life+1, "-first"), sink, false)
		if err := next.FlushAll(context.Background()); err != nil {
			return err
		}
		for _, key := range []string{"a", "b", "c"} {
			if got := sink.sum(key) - sums[key]; got < least[key] || got > most[key] {
				return fmt.Errorf("life %d: of %s %d were stored; counted were %d to %d", life, key, got, least[key], most[key])
			}
			sums[key] = sink.sum(key)
		}
		synctest.Wait()
		*alive = false
		if err := next.copyJournal(fmt.Sprint(path, "-", life+1)); err != nil {
			return err
		}
		_ = next.Close(roomtest.EndedContext())
		_ = b.Close(roomtest.EndedContext())
	}
	return nil
}

const every = 100 * time.Millisecond

// openLife opens a buffer whose sink is cut off once it is dead.
func openLife(t *testing.T, path string, sink *lifeSink, rewrite bool) (b *Buffer[string], alive *bool) {
	alive = new(bool)
	*alive = true
	b, err := NewBuffer(roomtest.System(t), "b", Config[string]{
		Sink:    mortal{sink, alive},
		Journal: Journal[string]{Path: path, Every: every},
	})
	require.NoError(t, err)
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	b.ledger.journal.file.db.NoSync = true // this test copies the file, and the machine lives on
	if rewrite {
		b.ledger.journal.rewrite = 1
	}
	return b, alive
}

// lifeSink remembers IDs, as a database would, and fails as it is told.
type lifeSink struct {
	mu            sync.Mutex
	sums          map[string]int64
	ids           map[string]bool
	before, after error
}

func newLifeSink() *lifeSink {
	return &lifeSink{sums: make(map[string]int64), ids: make(map[string]bool)}
}

func (s *lifeSink) fail(before, after error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

func (s *lifeSink) sum(key string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sums[key]
}

func (s *lifeSink) Flush(_ context.Context, f Flush[string]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.before, ErrNotStored) && s.ids[f.ID] {
		return nil // an earlier attempt did store it
	}
	if s.before != nil {
		return s.before
	}
	if !s.ids[f.ID] {
		s.ids[f.ID] = true
		for _, d := range f.Deltas {
			s.sums[d.Key] += d.N
		}
	}
	return s.after
}

type mortal struct {
	sink  *lifeSink
	alive *bool
}

func (m mortal) Flush(ctx context.Context, f Flush[string]) error {
	if !*m.alive {
		return errors.New("dead")
	}
	return m.sink.Flush(ctx, f)
}

// copyJournal makes a copy of the journal as it is on disk right now.
func (b *Buffer[K]) copyJournal(to string) error {
	return b.ledger.journal.file.db.View(func(tx *bbolt.Tx) error { return tx.CopyFile(to, 0o600) })
}
