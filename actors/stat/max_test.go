package stat

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// kept is a sink that keeps what each key's flushes were, and fails when it is told to.
type kept struct {
	*table[string]
	values map[string][]int64
}

func newKept() *kept {
	k := &kept{table: newTable[string](), values: make(map[string][]int64)}
	return k
}

func (k *kept) Flush(ctx context.Context, f Flush[string]) error {
	known := k.has(f.ID)
	err := k.table.Flush(ctx, f)
	if !known && k.has(f.ID) {
		for _, d := range f.Deltas {
			k.values[d.Key] = append(k.values[d.Key], d.N)
		}
	}
	return err
}

func requireValue(t *testing.T, of func(string) (int64, bool), key string, want int64) {
	t.Helper()
	n, ok := of(key)
	require.True(t, ok)
	require.Equal(t, want, n)
}

func TestMaxKeepsTheLargest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newKept()
		m, err := NewMax(roomtest.System(t), "test", Config[string]{Sink: sink, MaxFlushes: 1})
		require.NoError(t, err)
		_, ok := m.Value("a")
		require.False(t, ok)
		for _, n := range []int64{3, 9, 4, 9, -2} {
			require.NoError(t, m.Observe("a", n))
		}
		require.NoError(t, m.Observe("low", math.MinInt64)) // which is a value like any other
		require.NoError(t, m.Observe("zero", 0))
		requireValue(t, m.Value, "a", 9)
		requireValue(t, m.Value, "low", math.MinInt64)
		time.Sleep(5020 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, map[string][]int64{"a": {9}, "low": {math.MinInt64}, "zero": {0}}, sink.values)
		_, ok = m.Value("a")
		require.False(t, ok)
		require.NoError(t, m.Observe("a", 5)) // of its values since then
		requireValue(t, m.Value, "a", 5)
		require.NoError(t, m.Flush(context.Background(), "a"))
		require.Equal(t, []int64{9, 5}, sink.values["a"])
		require.EqualValues(t, 2, m.Info().Flushes)
		sink.check(t)
	})
}

func TestMaxAndLastGoOnWithWhatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		largest, last := newKept(), newKept()
		m, err := NewMax(sys, "max", Config[string]{Sink: largest, Backoff: time.Minute})
		require.NoError(t, err)
		l, err := NewLast(sys, "last", Config[string]{Sink: last, Backoff: time.Minute})
		require.NoError(t, err)
		for _, sink := range []*kept{largest, last} {
			sink.before = fails[string](1, ErrNotStored)
		}
		for _, key := range []string{"more", "less", "none"} {
			require.NoError(t, m.Observe(key, 5))
			require.NoError(t, l.Set(key, 5))
		}
		for _, sink := range []*kept{largest, last} {
			inner := sink.before
			sink.before = func(f Flush[string]) error { // while it is at the sink
				if sink == largest && sink.calls == 1 {
					require.NoError(t, m.Observe("more", 7))
					require.NoError(t, m.Observe("less", 2))
				}
				if sink == last && sink.calls == 1 {
					require.NoError(t, l.Set("more", 7))
					require.NoError(t, l.Set("less", 2))
				}
				return inner(f)
			}
		}
		time.Sleep(6 * time.Second)
		requireValue(t, m.Value, "more", 7)
		requireValue(t, m.Value, "less", 5)
		requireValue(t, m.Value, "none", 5)
		requireValue(t, l.Value, "more", 7)
		requireValue(t, l.Value, "less", 2)
		requireValue(t, l.Value, "none", 5)
		require.NoError(t, m.FlushAll(context.Background()))
		require.NoError(t, l.FlushAll(context.Background()))
		require.Equal(t, map[string][]int64{"more": {7}, "less": {5}, "none": {5}}, largest.values)
		require.Equal(t, map[string][]int64{"more": {7}, "less": {2}, "none": {5}}, last.values)
	})
}

func TestLastKeepsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newKept()
		l, err := NewLast(roomtest.System(t), "test", Config[string]{Sink: sink, MaxKeys: 2})
		require.NoError(t, err)
		for _, n := range []int64{3, 9, math.MinInt64, 0, 4} {
			require.NoError(t, l.Set("a", n))
			requireValue(t, l.Value, "a", n)
		}
		sink.before = func(f Flush[string]) error { // while 4 is at the sink
			if f.Deltas[0].N == 4 {
				requireValue(t, l.Value, "a", 4)
				require.NoError(t, l.Set("a", 1))
				requireValue(t, l.Value, "a", 1)
			}
			return nil
		}
		require.NoError(t, l.Flush(context.Background(), "a"))
		requireValue(t, l.Value, "a", 1)
		require.NoError(t, l.Set("b", 1))
		require.ErrorIs(t, l.Set("c", 1), penstock.ErrFull)
		require.ErrorIs(t, l.Set("", 1), penstock.ErrInvalid)
		require.NoError(t, l.FlushAsync("b"))
		require.NoError(t, l.Close(context.Background()))
		require.Equal(t, map[string][]int64{"a": {4, 1}, "b": {1}}, sink.values)
		require.ErrorIs(t, l.Set("a", 1), penstock.ErrClosed)
	})
}

// TestG8_LastIsStoredInOrder has a failed flush of an earlier value come again after a later value was set.
func TestG8_LastIsStoredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newKept()
		sink.before = fails[string](5, errUnsure)
		l, err := NewLast(roomtest.System(t), "test", Config[string]{Sink: sink, Interval: 100 * time.Millisecond})
		require.NoError(t, err)
		for n := range int64(300) {
			require.NoError(t, l.Set("a", n))
			time.Sleep(77 * time.Millisecond)
		}
		require.NoError(t, l.Close(context.Background()))
		values := sink.values["a"]
		require.IsIncreasing(t, values)
		require.EqualValues(t, 299, values[len(values)-1])
		sink.check(t)
	})
}

// TestS10_ValuesFindTheirWayFromAKeyThatIsForgotten is TestS10_IncrementsFindTheirWayFromAKeyThatIsForgotten for values.
func TestS10_ValuesFindTheirWayFromAKeyThatIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newKept()
		l, err := NewLast(roomtest.System(t), "test", Config[string]{Sink: sink, Idle: 4 * time.Millisecond, Interval: time.Millisecond})
		require.NoError(t, err)
		for i := range int64(1000) {
			require.NoError(t, l.Set("a", i))
			time.Sleep(time.Duration(i%80) * 250 * time.Microsecond)
		}
		require.NoError(t, l.Close(context.Background()))
		require.IsIncreasing(t, sink.values["a"])
		require.EqualValues(t, 999, sink.values["a"][len(sink.values["a"])-1])
	})
}
