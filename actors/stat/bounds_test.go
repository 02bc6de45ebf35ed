package stat

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestG5_MoreKeysThanThereMayBeAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sink.hang = true
		b := newBuffer(t, Config[string]{Sink: sink, MaxKeys: 10})
		for _, key := range names(10) {
			increment(t, b, key, 1)
		}
		start := time.Now()
		for _, key := range []string{"new", "newer"} {
			err := b.Increment(key, 1)
			require.ErrorIs(t, err, penstock.ErrFull)
			require.ErrorContains(t, err, "10")
			require.ErrorIs(t, b.Counter(key).Add(1), penstock.ErrFull)
			requireNothing(t, b, key)
		}
		require.Zero(t, time.Since(start), "at once")
		increment(t, b, "key-3", 1) // those that are there are counted
		sink.set(nil, nil, false)
		require.NoError(t, b.FlushAll(context.Background()))
		synctest.Wait()
		increment(t, b, "new", 1) // those that were stored make room
		require.NoError(t, b.Close(context.Background()))
		want := map[string]int64{"new": 1}
		for _, key := range names(10) {
			want[key]++
		}
		want["key-3"]++
		require.Equal(t, want, sink.all())
	})
}

func TestG5_KeysBeyondTheBoundsAreCountedInTheOverflowKey(t *testing.T) {
	for _, bound := range []string{"MaxKeys", "MaxBytes"} {
		t.Run(bound, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				reader := sdk.NewManualReader()
				cfg := Config[string]{Sink: sink, Overflow: new("others"), MaxKeys: 3}
				if bound == "MaxBytes" {
					cfg.MaxKeys, cfg.MaxBytes = 0, 3*(1024+5)+1024+6
				}
				b := newBuffer(t, cfg, penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
				for _, key := range names(8) {
					increment(t, b, key, 1)
					require.NoError(t, b.Counter(key).Add(10))
				}
				requireNothing(t, b, "key-5")
				requireCount(t, b, "others", 5*11)
				require.Equal(t, 4, b.Info().Keys, "it is on top")
				require.EqualValues(t, 10, roomtest.Series(t, reader, "penstock.stat", "penstock.kind", "penstock.outcome")["penstock.stat.overflowed test sum"])
				time.Sleep(time.Minute)
				require.Equal(t, map[string]int64{"key-0": 11, "key-1": 11, "key-2": 11, "others": 55}, sink.all())
				require.Equal(t, 1, b.Info().Keys, "it stays")
				increment(t, b, "others", 1)
				increment(t, b, "key-5", 1)
				require.NoError(t, b.Close(context.Background()))
				require.EqualValues(t, 56, sink.sum("others"))
				require.EqualValues(t, 1, sink.sum("key-5"))
			})
		})
	}
}

func TestG5_KeysAreReckonedAsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer(t, Config[string]{Sink: newTable[string](), MaxBytes: 5000})
		long := strings.Repeat("k", 500)
		increment(t, b, long, 1)
		increment(t, b, "a", 1)
		increment(t, b, "b", 1)
		require.EqualValues(t, 1524+1025+1025, b.Info().Bytes)
		err := b.Increment(long+"2", 1)
		require.ErrorIs(t, err, penstock.ErrFull)
		require.ErrorContains(t, err, "MaxBytes is 5000")
		increment(t, b, "c", 1)
		require.LessOrEqual(t, b.Info().Bytes, int64(5000))
		require.ErrorIs(t, b.Increment("d", 1), penstock.ErrFull)
		increment(t, b, long, 1)
		time.Sleep(time.Minute)
		require.Zero(t, b.Info().Bytes)
		increment(t, b, "d", 1)
	})
}

// TestG5_KeysThatWereStoredMakeRoom has ever new keys, far more of them than MaxKeys within the time that an idle one is kept.
func TestG5_KeysThatWereStoredMakeRoom(t *testing.T) {
	for _, cfg := range []Config[int]{{MaxKeys: 1000}, {MaxBytes: 1000 * keyCost}} {
		synctest.Test(t, func(t *testing.T) { testRoom(t, cfg) })
	}
}

func testRoom(t *testing.T, cfg Config[int]) {
	sink := newTable[int]()
	sys := roomtest.System(t)
	cfg.Sink, cfg.Interval, cfg.Idle = sink, time.Second, time.Hour
	b, err := NewBuffer(sys, "test", cfg)
	require.NoError(t, err)
	c := b.Counter(0)
	keys := 40_000
	if testing.Short() {
		keys = 5000
	}
	for key := range keys { // 500 a second
		increment(t, b, key, 1)
		require.NoError(t, c.Add(1))
		time.Sleep(2 * time.Millisecond)
	}
	require.NoError(t, b.FlushAll(context.Background()))
	synctest.Wait()
	require.LessOrEqual(t, b.Info().Keys, 1000)
	require.Len(t, sink.all(), keys)
	require.EqualValues(t, keys+1, sink.sum(0))
	require.EqualValues(t, 1, sink.sum(keys-1))
	tree := sys.Info().Tree
	require.LessOrEqual(t, tree.Started-tree.Passivated-tree.Stopped, uint64(1000), "their actors are gone, too")
	sink.check(t)
}

// TestG8_G5_ASinkThatIsDownForAMinute has load go on meanwhile: memory stays what it is bounded to, and all comes in the end.
func TestG8_G5_ASinkThatIsDownForAMinute(t *testing.T) {
	for name, fail := range map[string]error{"unsure": errUnsure, "not stored": ErrNotStored, "after storing": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				var down atomic.Bool
				answer := func(Flush[string]) error {
					if down.Load() {
						return fail
					}
					return nil
				}
				sink.before = answer
				if fail == nil {
					fail, sink.before, sink.after = errUnsure, nil, answer
				}
				reader := sdk.NewManualReader()
				b := newBuffer(t, Config[string]{Sink: sink, MaxKeys: 300, MaxBatch: 100},
					penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
				accepted, refused := make(map[string]int64), 0
				load := func(d time.Duration, round int) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
						for i := range 50 {
							key := fmt.Sprint("key-", (int(time.Since(end)/(100*time.Millisecond))*50+i)%200)
							if i == 0 {
								key = fmt.Sprint("new-", round, time.Since(end))
							}
							if b.Increment(key, 1) == nil {
								accepted[key]++
							} else {
								refused++
							}
						}
					}
				}
				load(20*time.Second, 0)
				require.Zero(t, refused)
				down.Store(true)
				load(time.Minute, 1)
				require.NotZero(t, refused, "there were more keys than there may be")
				i := b.Info()
				require.LessOrEqual(t, i.Keys, 300)
				require.Greater(t, i.Oldest, 50*time.Second)
				require.LessOrEqual(t, i.Oldest, 66*time.Second)
				series := roomtest.Series(t, reader, "penstock.stat", "penstock.kind", "penstock.outcome")
				require.Equal(t, i.Oldest.Seconds(), series["penstock.stat.oldest test sum"])
				require.EqualValues(t, i.Keys, series["penstock.stat.keys test sum"])
				require.EqualValues(t, i.Unflushed, series["penstock.stat.unflushed test sum"])
				require.EqualValues(t, i.Waiting+i.Running, series["penstock.stat.waiting test sum"])
				require.EqualValues(t, i.Failures, series["penstock.stat.duration test sum failed"])
				require.EqualValues(t, i.Flushes, series["penstock.stat.duration test sum stored"])
				require.EqualValues(t, i.Flushes, series["penstock.stat.deltas test sum"])
				require.LessOrEqual(t, i.Waiting, 300)
				require.LessOrEqual(t, i.Failures, uint64(9*300), "it is not asked more often than the back-off says")
				down.Store(false)
				load(31*time.Second, 2) // as long as a back-off is at most
				synctest.Wait()
				require.LessOrEqual(t, b.Info().Oldest, 6*time.Second, "it has caught up")
				require.NoError(t, b.Close(context.Background()))
				requireSame(t, accepted, sink.all())
				sink.check(t)
			})
		})
	}
}

// TestG5_ManyKeysDueAtOnce counts goroutines while a hundred thousand keys are collected and stored.
func TestG5_ManyKeysDueAtOnce(t *testing.T) {
	keys := 100_000
	if testing.Short() {
		keys = 10_000
	}
	var most atomic.Int64
	sink := newTable[int]()
	sink.before = func(f Flush[int]) error {
		most.Store(max(most.Load(), int64(runtime.NumGoroutine())))
		return nil
	}
	for name, flush := range map[string]func(b *Buffer[int]) error{
		"FlushAll": func(b *Buffer[int]) error { return b.FlushAll(context.Background()) },
		"their interval": func(b *Buffer[int]) error {
			time.Sleep(8 * time.Second)
			return nil
		},
		"Close": func(b *Buffer[int]) error { return b.Close(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBuffer(t, Config[int]{Sink: sink, MaxFlushes: 3})
				*sink = table[int]{before: sink.before, sums: make(map[int]int64), ids: make(map[string][]Delta[int]), seen: make(map[string][]Delta[int])}
				for key := range keys {
					increment(t, b, key, 1)
				}
				synctest.Wait() // their actors have been started
				most.Store(0)
				require.NoError(t, flush(b))
				require.Len(t, sink.all(), keys)
				require.Len(t, sink.flushes(), keys/1000)
				for _, f := range sink.flushes() {
					require.Len(t, f.Deltas, 1000)
				}
				require.LessOrEqual(t, most.Load(), int64(100))
			})
		})
	}
}

// TestG5_NoMoreFlushesThanMaxFlushes looks into the sink.
func TestG5_NoMoreFlushesThanMaxFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		sink := newTable[string]()
		sink.before = func(Flush[string]) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			return nil
		}
		b := newBuffer(t, Config[string]{Sink: sink, MaxFlushes: 5, MaxBatch: 2})
		for _, key := range names(100) {
			increment(t, b, key, 1)
		}
		start := time.Now()
		require.NoError(t, b.FlushAll(context.Background()))
		require.EqualValues(t, 5, most.Load())
		require.Equal(t, 10*time.Second, time.Since(start), "and no fewer while there are any")
	})
}

// TestG5_AskingInVainCostsNothing has somebody flush again and again, without patience, while the sink is not there.
func TestG5_AskingInVainCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sink.before = func(Flush[string]) error { return errUnsure }
		b := newBuffer(t, Config[string]{Sink: sink})
		increment(t, b, "flying", 1)
		require.NoError(t, b.FlushAsync("flying"))
		time.Sleep(time.Second)
		increment(t, b, "both", 1)
		require.NoError(t, b.FlushAsync("both"))
		time.Sleep(time.Second)
		increment(t, b, "both", 1)
		for i := range 1000 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			ask := b.FlushAll
			if i%2 == 1 {
				ask = func(ctx context.Context) error { return b.Flush(ctx, "both") }
			}
			err := ask(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errUnsure, "it says why")
			cancel()
		}
		for e := range b.ledger.family.All() {
			waiting := 0
			for _, list := range []*asking{e.Value.asked, e.Value.flying} {
				for ; list != nil; list = list.next {
					waiting++
				}
			}
			require.LessOrEqual(t, waiting, 3, e.Key())
		}
		sink.set(nil, nil, false)
		require.NoError(t, b.FlushAll(context.Background()))
		require.EqualValues(t, 2, sink.sum("both"))
	})
}
