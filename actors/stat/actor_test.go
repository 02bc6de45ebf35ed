package stat

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// TestG2_ACrashLosesNothing has a key's actor panic again and again: what was counted is not its own.
func TestG2_ACrashLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		for range 40 {
			increment(t, b, "page", 1)
			increment(t, b, "other", 1)
			crash(b.ledger, "page")
			time.Sleep(time.Second / 4)
		}
		require.NoError(t, b.FlushAll(context.Background()))
		require.Equal(t, map[string]int64{"page": 40, "other": 40}, sink.all())
		sink.check(t)
	})
}

// TestG2_KeysWithoutActorsAreFlushedToo has so many actors crash that the family is given up: it takes no new keys any more,
// and what it has is stored.
func TestG2_KeysWithoutActorsAreFlushedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Hour})
		for _, key := range names(20) {
			increment(t, b, key, 1)
		}
		for round := 0; b.ledger.family.Info().Err == nil; round++ {
			require.Less(t, round, 10_000)
			for _, key := range names(20) {
				crash(b.ledger, key)
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Error(t, b.Increment("new", 1))
		increment(t, b, "key-3", 2)
		require.NoError(t, b.Flush(roomtest.Within(t, time.Minute), "key-3"))
		require.EqualValues(t, 3, sink.sum("key-3"))
		time.Sleep(time.Hour + time.Minute)
		require.Len(t, sink.all(), 20)
		require.EqualValues(t, 1, sink.sum("key-4"))
		_ = b.Close(roomtest.Within(t, time.Minute))
	})
}

// TestS10_IdleKeysAreForgotten tells the actors, the entries and what they are reckoned as.
func TestS10_IdleKeysAreForgotten(t *testing.T) {
	for _, idle := range []time.Duration{0, 3 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			sink := newTable[string]()
			sys := roomtest.System(t)
			b, err := NewBuffer(sys, "test", Config[string]{Sink: sink, Idle: idle, Interval: 30 * time.Second})
			require.NoError(t, err)
			want := idle
			if want == 0 {
				want = 10 * time.Second
			}
			for _, key := range names(100) {
				increment(t, b, key, 1)
			}
			time.Sleep(29 * time.Second)
			require.Equal(t, 100, b.Info().Keys, "what holds something is kept, however idle")
			require.Greater(t, b.Info().Bytes, int64(100*1024))
			time.Sleep(time.Second + inTime(30*time.Second))
			synctest.Wait()
			require.Len(t, sink.all(), 100)
			time.Sleep(want * 14 / 16) // when an actor was used is noted up to a 16th of Idle too early
			require.Equal(t, 100, b.Info().Keys)
			time.Sleep(want / 2)
			require.Zero(t, b.Info().Keys)
			require.Zero(t, b.Info().Bytes)
			require.EqualValues(t, 100, sys.Info().Tree.Passivated)
			increment(t, b, "key-1", 4)
			time.Sleep(31 * time.Second)
			require.EqualValues(t, 5, sink.sum("key-1"), "and come back")
		})
	}
}

// TestS10_IncrementsFindTheirWayFromAKeyThatIsForgotten counts a key at the very moments at which it is put away, through its
// name and through a counter that is kept.
func TestS10_IncrementsFindTheirWayFromAKeyThatIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sys := roomtest.System(t)
		b, err := NewBuffer(sys, "test", Config[string]{Sink: sink, Idle: 4 * time.Millisecond, Interval: time.Millisecond})
		require.NoError(t, err)
		c := b.Counter("page")
		for i := range 2000 {
			increment(t, b, "page", 1)
			require.NoError(t, c.Add(1))
			time.Sleep(time.Duration(i%80) * 250 * time.Microsecond)
		}
		require.NoError(t, b.FlushAll(context.Background()))
		require.EqualValues(t, 4000, sink.sum("page"))
		require.Greater(t, sys.Info().Tree.Passivated, uint64(100))
	})
}

// TestS10_AClosedCellIsPutAwayOnce has a key counted between the closing of its cell and its removal.
func TestS10_AClosedCellIsPutAwayOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		sum, err := NewBuffer(sys, "sum", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err)
		largest, err := NewMax(sys, "max", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err)
		putAway(t, sum.ledger, func() error { return sum.Increment("page", 1) })
		putAway(t, largest.ledger, func() error { return largest.Observe("page", 1) })
		require.NoError(t, sum.FlushAll(context.Background()))
		require.NoError(t, largest.FlushAll(context.Background()))
		time.Sleep(time.Minute)
		require.Zero(t, sum.Info().Bytes)
		require.Zero(t, largest.Info().Bytes)
		tree := sys.Info().Tree
		require.Equal(t, tree.Started, tree.Passivated+tree.Stopped, "no actor is left")
	})
}

func putAway[C any](t *testing.T, l *ledger[string, string, C], count func() error) {
	require.NoError(t, count())
	require.NoError(t, l.flushAll(context.Background()))
	e, ok := l.family.Lookup("page")
	require.True(t, ok)
	l.mu.Lock()
	require.True(t, l.forget(&e.Value))
	l.mu.Unlock()
	require.NoError(t, count(), "it is counted in a new cell")
	l.remove([]*tally[string, string, C]{&e.Value})
	again, ok := l.family.Lookup("page")
	require.True(t, ok)
	require.NotSame(t, e, again)
}

// TestS9_AFlushThatMeetsAnIncrementHalfway asks for a key that is on its way to the stack, while its last flush is at the sink.
func TestS9_AFlushThatMeetsAnIncrementHalfway(t *testing.T) {
	for _, closing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sink := newTable[string]()
			released := make(chan struct{})
			release := sync.OnceFunc(func() { close(released) })
			t.Cleanup(release)
			sink.before = func(Flush[string]) error {
				<-released
				return nil
			}
			b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Hour})
			increment(t, b, "page", 1)
			require.NoError(t, b.FlushAsync("page"))
			synctest.Wait()
			e, ok := b.ledger.family.Lookup("page")
			require.True(t, ok)
			tally := &e.Value
			_, first := tally.cell.add(2) // Increment, up to here
			require.True(t, first)
			var c roomtest.Callers
			start := time.Now()
			c.Call(func() error {
				if closing {
					return b.Close(context.Background())
				}
				return b.Flush(context.Background(), "page")
			})
			synctest.Wait()
			b.ledger.armed(tally)   // and the rest of it
			time.Sleep(time.Minute) // a tick takes it in
			release()
			c.Wait()
			require.Equal(t, map[string]int{"granted": 1}, c.Ended(), c.Strange())
			require.Equal(t, time.Minute, time.Since(start))
			require.EqualValues(t, 3, sink.sum("page"))
		})
	}
}

// TestS9_AKeyIsArmedOnce has a key flushed while it is on its way to the stack: what comes after that must not put it there twice.
func TestS9_AKeyIsArmedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Hour, Idle: 24 * time.Hour})
		increment(t, b, "page", 1)
		require.NoError(t, b.FlushAll(context.Background()))
		e, ok := b.ledger.family.Lookup("page")
		require.True(t, ok)
		tally := &e.Value
		_, first := tally.cell.add(2) // Increment, up to here
		require.True(t, first)
		require.NoError(t, b.FlushAll(context.Background()))
		require.EqualValues(t, 3, sink.sum("page"))
		_, first = tally.cell.add(4)
		require.False(t, first)
		b.ledger.armed(tally) // and the rest of it
		time.Sleep(time.Hour + time.Minute)
		require.EqualValues(t, 7, sink.sum("page"))
		_, first = tally.cell.add(0)
		require.True(t, first)
		b.ledger.armed(tally)
	})
}

// TestActorsOnTheSendersGoroutine has the engine run everything where it is sent from, with many keys due at once.
func TestActorsOnTheSendersGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 10_000
		sink := newTable[string]()
		deepest := 0
		sink.before = func(Flush[string]) error {
			stack := make([]uintptr, 500)
			deepest = max(deepest, runtime.Callers(0, stack))
			return nil
		}
		b := newBuffer(t, Config[string]{Sink: sink, MaxFlushes: 1}, roomtest.Deterministic())
		for round := range 3 {
			for _, key := range names(keys) {
				increment(t, b, key, 1)
			}
			switch round {
			case 0:
				time.Sleep(6 * time.Second)
			case 1:
				require.NoError(t, b.FlushAll(context.Background()))
			case 2:
				require.NoError(t, b.Close(context.Background()))
			}
			for _, key := range names(keys) {
				require.EqualValues(t, round+1, sink.sum(key))
			}
		}
		require.LessOrEqual(t, len(sink.flushes()), 3*keys/1000+3)
		require.Less(t, deepest, 40)
		sink.check(t)
	})
}

// TestActorsOnTheSendersGoroutineCrash has them panic there.
func TestActorsOnTheSendersGoroutineCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink, MaxKeys: 100, MaxBatch: 3}, roomtest.Deterministic())
		for i := range 500 {
			for _, key := range names(90) {
				increment(t, b, key, 1)
			}
			if i%50 == 0 {
				crash(b.ledger, "key-7")
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.NoError(t, b.Close(context.Background()))
		for _, key := range names(90) {
			require.EqualValues(t, 500, sink.sum(key))
		}
		require.ErrorIs(t, b.FlushAll(context.Background()), penstock.ErrClosed)
	})
}
