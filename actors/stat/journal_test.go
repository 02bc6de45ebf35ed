package stat

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// journaled is a buffer with a journal.
func journaled(t *testing.T, path string, sink Sink[string]) *Buffer[string] {
	b, err := NewBuffer(roomtest.System(t), "b", Config[string]{Sink: sink, Journal: Journal[string]{Path: path, Every: every}})
	require.NoError(t, err)
	return b
}

func journalPath(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") }

func TestG8_CloseKeepsInTheJournalWhatWasNotStored(t *testing.T) {
	path, sink := journalPath(t), newLifeSink()
	synctest.Test(t, func(t *testing.T) {
		b := journaled(t, path, sink)
		require.NoError(t, b.IncrementDurable(context.Background(), "a", 3))
		require.NoError(t, b.Increment("a", 1))
		require.NoError(t, b.Flush(context.Background(), "a"))
		require.Equal(t, int64(4), sink.sum("a"))
		sink.fail(nil, errors.New("cut"))
		require.NoError(t, b.Increment("a", 1))
		require.NoError(t, b.Increment("c", 7))
		require.NoError(t, b.FlushAsync("a"))
		time.Sleep(time.Second)
		require.NoError(t, b.Increment("a", 1))
		require.NoError(t, b.IncrementDurable(context.Background(), "a", 3))
		var left *NotStoredError
		require.ErrorAs(t, b.Close(roomtest.EndedContext()), &left)
		require.True(t, left.Kept)
		require.Equal(t, 2, left.Keys)
		require.ErrorIs(t, b.IncrementDurable(context.Background(), "a", 3), penstock.ErrClosed)

		b = journaled(t, path, sink)
		n, ok := b.Count("a")
		require.True(t, ok)
		require.Equal(t, int64(5), n, "with what is in a flush, which was stored although it does not know")
		sink.fail(nil, nil)
		require.NoError(t, b.FlushAll(context.Background()))
		require.Equal(t, map[string]int64{"a": 9, "c": 7}, sink.sums)
		require.NoError(t, b.Close(context.Background()))

		b = journaled(t, path, sink)
		require.Zero(t, b.Info().Keys, "all is settled")
	})
}

// A flush is on disk before the sink hears of it: else a crash after it was stored would have it stored again.
func TestG8_AFlushIsRecordedBeforeItIsTried(t *testing.T) {
	path := journalPath(t)
	synctest.Test(t, func(t *testing.T) {
		var b *Buffer[string]
		var seen *past
		b = journaled(t, path, sinkFunc(func(f Flush[string]) error {
			seen = newPast(nil)
			require.NoError(t, b.ledger.journal.file.db.View(func(tx *bbolt.Tx) error {
				return tx.Bucket(logBucket).ForEach(func(_, piece []byte) error { return seen.read(piece) })
			}))
			require.Contains(t, seen.flushes, f.ID)
			return nil
		}))
		for i := range 10 {
			require.NoError(t, b.Increment("a", int64(i)))
			require.NoError(t, b.Flush(context.Background(), "a"))
		}
		require.NotNil(t, seen)
	})
}

// A flush that is still being filled is in no record: until it is, what it has taken counts as counted.
func TestG8_ARewriteKeepsWhatIsBeingCollected(t *testing.T) {
	path := journalPath(t)
	synctest.Test(t, func(t *testing.T) {
		b := journaled(t, path, newLifeSink())
		require.NoError(t, b.IncrementDurable(context.Background(), "a", 5))
		l := b.ledger
		j := l.journal
		l.mu.Lock()
		e, _ := l.family.Lookup("a")
		l.gather(&e.Value)
		j.rewrite = 0
		l.mu.Unlock()
		require.NoError(t, b.IncrementDurable(context.Background(), "b", 1))
		seen := newPast(nil)
		require.NoError(t, j.file.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(logBucket).ForEach(func(_, piece []byte) error { return seen.read(piece) })
		}))
		require.Equal(t, int64(5), seen.counts["a"])
		require.NoError(t, b.Close(context.Background()))
	})
}

type sinkFunc func(f Flush[string]) error

func (fn sinkFunc) Flush(_ context.Context, f Flush[string]) error { return fn(f) }

func TestG8_AJournalThatCannotBeWritten(t *testing.T) {
	path, sink := journalPath(t), newLifeSink()
	synctest.Test(t, func(t *testing.T) {
		b := journaled(t, path, sink)
		file := b.ledger.journal.file
		full := errors.New("no space left on device")
		var isFull atomic.Bool
		work := file.update
		file.update = func(put func(*bbolt.Tx) error) error {
			if isFull.Load() {
				return full
			}
			return work(put)
		}
		isFull.Store(true)
		err := b.IncrementDurable(context.Background(), "a", 5)
		require.ErrorIs(t, err, full)
		_, ok := b.Count("a")
		require.False(t, ok, "nothing was counted")
		require.NoError(t, b.Increment("a", 2))
		require.NoError(t, b.Increment("b", 2))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.ErrorIs(t, b.FlushAll(ctx), context.DeadlineExceeded)
		require.Empty(t, sink.ids, "no flush goes out that is not in the journal")
		require.ErrorIs(t, b.Info().JournalError, full)
		isFull.Store(false)
		require.NoError(t, b.FlushAll(context.Background()))
		require.Equal(t, map[string]int64{"a": 2, "b": 2}, sink.sums)
		require.NoError(t, b.Info().JournalError)
		require.NoError(t, b.IncrementDurable(context.Background(), "a", 5))

		isFull.Store(true)
		sink.fail(errors.New("away"), nil)
		var left *NotStoredError
		require.ErrorAs(t, b.Close(roomtest.EndedContext()), &left)
		require.False(t, left.Kept)
	})
}

func TestG8_LargestAndLastValuesSurviveToo(t *testing.T) {
	for _, kind := range []string{"max", "last"} {
		path, sink := journalPath(t), newTableOf(kind)
		synctest.Test(t, func(t *testing.T) {
			open := func() (put func(string, int64) error, flushAll, end func(context.Context) error) {
				cfg := Config[string]{Sink: sink, Journal: Journal[string]{Path: path, Every: every}}
				if kind == "max" {
					m, err := NewMax(roomtest.System(t), "v", cfg)
					require.NoError(t, err)
					return m.Observe, m.FlushAll, m.Close
				}
				l, err := NewLast(roomtest.System(t), "v", cfg)
				require.NoError(t, err)
				return l.Set, l.FlushAll, l.Close
			}
			put, _, end := open()
			require.NoError(t, put("a", 7))
			time.Sleep(2 * every)
			require.NoError(t, put("a", 3))
			require.NoError(t, put("zero", 0))
			require.NoError(t, put("low", -1<<63))
			time.Sleep(2 * every)
			require.Error(t, end(roomtest.EndedContext()))
			put, flushAll, end := open()
			require.NoError(t, flushAll(context.Background()))
			want := int64(7)
			if kind == "last" {
				want = 3
			}
			require.Equal(t, map[string]int64{"a": want, "zero": 0, "low": -1 << 63}, sink.values)
			require.NoError(t, put("a", 1))
			require.NoError(t, end(context.Background()))
		})
	}
}

// valueTable stores values as a table of largest or last ones does.
type valueTable struct {
	mu     sync.Mutex
	kind   string
	values map[string]int64
}

func newTableOf(kind string) *valueTable {
	return &valueTable{kind: kind, values: make(map[string]int64)}
}

func (v *valueTable) Flush(_ context.Context, f Flush[string]) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, d := range f.Deltas {
		if there, ok := v.values[d.Key]; !ok || v.kind == "last" || d.N > there {
			v.values[d.Key] = d.N
		}
	}
	return nil
}

func TestTheJournalStaysSmall(t *testing.T) {
	path, sink := journalPath(t), newLifeSink()
	synctest.Test(t, func(t *testing.T) {
		b := journaled(t, path, sink)
		j := b.ledger.journal
		b.ledger.mu.Lock()
		j.file.db.NoSync = true
		j.rewrite = 10_000
		b.ledger.mu.Unlock()
		most := 0
		for i := range 2000 {
			require.NoError(t, b.Increment("key-"+strconv.Itoa(i%50), 1))
			require.NoError(t, b.FlushAll(context.Background()))
			most = max(most, b.Info().JournalBytes)
		}
		require.Less(t, most, 20_000)
	})
}

func TestIncrementDurable(t *testing.T) {
	path, sink := journalPath(t), newLifeSink()
	synctest.Test(t, func(t *testing.T) {
		plain, err := NewBuffer(roomtest.System(t), "plain", Config[string]{Sink: sink})
		require.NoError(t, err)
		require.ErrorIs(t, plain.IncrementDurable(context.Background(), "a", 1), penstock.ErrInvalid)

		b := journaled(t, path, sink)
		require.ErrorIs(t, b.IncrementDurable(roomtest.EndedContext(), "a", 1), context.Canceled)
		require.ErrorIs(t, b.IncrementDurable(context.Background(), "", 1), penstock.ErrInvalid)

		// While one write is under way, others collect; who gives up is taken back.
		file := b.ledger.journal.file
		work, hold := file.update, make(chan struct{})
		writes := 0
		file.update = func(fn func(*bbolt.Tx) error) error {
			writes++
			<-hold
			return work(fn)
		}
		var calls sync.WaitGroup
		answers := make(chan error, 101)
		call := func(ctx context.Context) { calls.Go(func() { answers <- b.IncrementDurable(ctx, "a", 1) }) }
		call(context.Background())
		synctest.Wait()
		for range 99 {
			call(context.Background())
		}
		ctx, cancel := context.WithCancel(context.Background())
		call(ctx)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-answers, context.Canceled)
		close(hold)
		calls.Wait()
		for range 100 {
			require.NoError(t, <-answers)
		}
		require.Equal(t, 2, writes, "they share a sync of the disk")
		n, _ := b.Count("a")
		require.Equal(t, int64(100), n)
		require.NoError(t, b.Close(context.Background()))
		require.Equal(t, int64(100), sink.sum("a"))
	})
}

func TestAJournalBelongsToItsBuffer(t *testing.T) {
	path, sink := journalPath(t), newLifeSink()
	sys := roomtest.System(t)
	cfg := Config[string]{Sink: sink, Journal: Journal[string]{Path: path, LockTimeout: time.Millisecond}}
	b, err := NewBuffer(sys, "b", cfg)
	require.NoError(t, err)
	_, err = NewBuffer(sys, "other", cfg)
	require.ErrorContains(t, err, "is in use by somebody else or another process")
	sink.fail(errors.New("away"), nil)
	for i := range 3 {
		require.NoError(t, b.IncrementDurable(context.Background(), strconv.Itoa(i), 1))
	}
	require.Error(t, b.Close(roomtest.EndedContext()))

	_, err = NewBuffer(sys, "other", cfg)
	require.ErrorContains(t, err, `it is the journal of the sum buffer "b"`)
	_, err = NewMax(sys, "b", cfg)
	require.ErrorContains(t, err, `it is the journal of the sum buffer "b"`)
	few := cfg
	few.MaxKeys = 2
	_, err = NewBuffer(sys, "b", few)
	require.ErrorContains(t, err, "the journal holds more keys than MaxKeys (2) allows")
	blind := cfg
	blind.Journal.Encode = func(string) ([]byte, error) { return nil, errors.New("cannot") }
	blind.Journal.Decode = func([]byte) (string, error) { return "", errors.New("cannot read it") }
	_, err = NewBuffer(sys, "b", blind)
	require.ErrorContains(t, err, "cannot read it")
	_, err = NewHistogram(sys, "h", Scale{}, Config[Bin[string]]{Sink: failing[Bin[string]]{}, Journal: Journal[Bin[string]]{Path: path}})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	_, err = NewBuffer(sys, "b", Config[string]{Sink: sink, Journal: Journal[string]{Every: -1, LockTimeout: 2 * time.Hour, Decode: blind.Journal.Decode}})
	for _, field := range []string{"Journal.Every is -1ns", "Journal.LockTimeout is 2h0m0s", "Journal.Encode and Decode", "Journal.Path is empty"} {
		require.ErrorContains(t, err, field)
	}

	sink.fail(nil, nil) // none of these has touched what the journal holds
	b, err = NewBuffer(sys, "b", cfg)
	require.NoError(t, err)
	require.NoError(t, b.Close(context.Background()))
	require.Equal(t, map[string]int64{"0": 1, "1": 1, "2": 1}, sink.sums)
}

// failing answers every flush with its error.
type failing[K comparable] struct{ err error }

func (n failing[K]) Flush(context.Context, Flush[K]) error { return n.err }

// Whatever is in a file: an error, and no panic.
func TestDamagedRecordsAreAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := appendCount(nil, []byte("a"), 5)
		data = appendDelta(appendDelta(appendFlush(data, "id", 2), []byte("a"), 5, 4), []byte("b"), 1, 0)
		data = appendSettled(data, "other")
		p := newPast(nil)
		if p.read(data) != nil || p.counts["a"] != 1 || len(p.flushes["id"].keys) != 2 {
			t.Fatalf("sound records are read as %+v", p)
		}
		if err := newPast(nil).read(data[:rapid.IntRange(1, len(data)-1).Draw(t, "cut")]); err != nil {
			require.ErrorContains(t, err, "damaged")
		}
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "with")
		_ = newPast(nil).read(data)
	})
}
