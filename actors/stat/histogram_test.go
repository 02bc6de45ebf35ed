package stat

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func newHistogram(t testing.TB, scale Scale, cfg Config[Bin[string]]) (*Histogram[string], *table[Bin[string]]) {
	t.Helper()
	sink := newTable[Bin[string]]()
	cfg.Sink = sink
	h, err := NewHistogram(roomtest.System(t), "test", scale, cfg)
	require.NoError(t, err)
	return h, sink
}

func TestAHistogramCountsByBin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, sink := newHistogram(t, Scale{}, Config[Bin[string]]{MaxBatch: 5})
		want := make(map[string]map[int64]int64) // by key and value
		rng := rand.New(rand.NewPCG(1, 1))
		for _, key := range []string{"a", "b"} {
			want[key] = make(map[int64]int64)
			for range 1000 {
				v := int64(math.Exp(rng.Float64() * 22))
				want[key][v]++
				require.NoError(t, h.Record(key, v))
			}
		}
		n, ok := h.Count("a")
		require.True(t, ok)
		require.EqualValues(t, 1000, n)
		time.Sleep(6 * time.Second)
		_, ok = h.Count("a")
		require.False(t, ok)
		for key, values := range want {
			left := int64(0)
			for bin, n := range sink.all() {
				if bin.Key != key {
					continue
				}
				left += n
				require.LessOrEqual(t, float64(bin.To-bin.From), max(0.01*float64(bin.From), 1))
				for v, times := range values {
					if v >= bin.From && v <= bin.To {
						n -= times
					}
				}
				require.Zero(t, n, "%v", bin)
			}
			require.EqualValues(t, 1000, left)
		}
		for _, f := range sink.flushes() {
			for _, d := range f.Deltas {
				require.Equal(t, f.Deltas[0].Key.Key, d.Key.Key, "all of a key's are in the same flush")
			}
		}
		require.Len(t, sink.flushes(), 2)
		sink.check(t)
	})
}

// TestAHistogramsBinsComeBackAsTheyWere is what makes a flush that was refused the same as before.
func TestAHistogramsBinsComeBackAsTheyWere(t *testing.T) {
	scale := rapid.Custom(func(t *rapid.T) Scale {
		s := Scale{Lowest: rapid.Int64Range(1, 5000).Draw(t, "lowest"), Digits: rapid.IntRange(1, 3).Draw(t, "digits")}
		s.Highest = 2*s.Lowest + rapid.Int64Range(0, 1<<40).Draw(t, "highest")
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		s := scale.Draw(rt, "scale")
		values := rapid.SliceOfN(rapid.Int64Range(0, 2*s.Highest), 1, 30).Draw(rt, "values")
		synctest.Test(t, func(t *testing.T) {
			h, sink := newHistogram(t, s, Config[Bin[string]]{Backoff: time.Second})
			var seen []Flush[Bin[string]]
			sink.before = func(f Flush[Bin[string]]) error {
				seen = append(seen, f)
				if len(seen) < 4 {
					return ErrNotStored
				}
				return nil
			}
			for _, v := range values {
				require.NoError(t, h.Record("a", v))
			}
			require.NoError(t, h.FlushAll(context.Background()))
			for _, f := range seen {
				require.Equal(t, seen[0].Deltas, f.Deltas)
			}
			total := int64(0)
			for bin, n := range sink.all() {
				require.LessOrEqual(t, bin.From, bin.To)
				total += n
			}
			require.EqualValues(t, len(values), total)
		})
	})
}

func TestAHistogramCountsWhatIsOutsideOfItsScaleAtTheEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, sink := newHistogram(t, Scale{Lowest: 10, Highest: 1000, Digits: 1}, Config[Bin[string]]{})
		for _, v := range []int64{0, 1, 1000, 1001, math.MaxInt64} {
			require.NoError(t, h.Record("a", v))
		}
		require.ErrorIs(t, h.Record("a", -1), penstock.ErrInvalid)
		require.ErrorIs(t, h.Record("", 1), penstock.ErrInvalid)
		require.NoError(t, h.Close(context.Background()))
		require.ErrorIs(t, h.Record("a", 1), penstock.ErrClosed)
		require.Len(t, sink.all(), 2)
		for bin, n := range sink.all() {
			if bin.From == 0 {
				require.EqualValues(t, 2, n)
			} else {
				require.EqualValues(t, 3, n)
				require.LessOrEqual(t, bin.From, int64(1000))
				require.GreaterOrEqual(t, bin.To, int64(1000))
			}
		}
	})
}

func TestAHistogramOfTheWholeScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, sink := newHistogram(t, Scale{Highest: math.MaxInt64, Digits: 1}, Config[Bin[string]]{})
		for _, v := range []int64{0, 1, math.MaxInt64 / 2, math.MaxInt64} {
			require.NoError(t, h.Record("a", v))
		}
		require.NoError(t, h.FlushAll(context.Background()))
		require.Len(t, sink.all(), 4)
	})
}

func TestABadScaleIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		_, err := NewHistogram(sys, "h", Scale{Lowest: -1, Highest: -5, Digits: 6}, Config[Bin[string]]{MaxBatch: -1})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, field := range []string{"Scale.Lowest is -1", "Scale.Highest is -5", "Scale.Digits is 6", "Sink is nil", "MaxBatch is -1"} {
			require.ErrorContains(t, err, field)
		}
		_, err = NewHistogram(sys, "h", Scale{Lowest: 10, Highest: 19}, Config[Bin[string]]{Sink: newTable[Bin[string]]()})
		require.ErrorContains(t, err, "Scale.Highest is 19")
		one := FlushFunc[Bin[string]](func(context.Context, Bin[string], int64) error { return nil })
		_, err = NewHistogram(sys, "h", Scale{Digits: -1}, Config[Bin[string]]{Sink: one})
		require.ErrorContains(t, err, "FlushFunc")
		require.ErrorContains(t, err, "Scale.Digits")
		_, err = NewHistogram(sys, "h", Scale{}, Config[Bin[string]]{Sink: newTable[Bin[string]]()})
		require.NoError(t, err, "nothing was started before")
	})
}

func TestAHistogramsOverflowKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, sink := newHistogram(t, Scale{}, Config[Bin[string]]{MaxKeys: 1, Overflow: &Bin[string]{Key: "others"}})
		for _, key := range names(3) {
			require.NoError(t, h.Record(key, 7))
		}
		n, _ := h.Count("others")
		require.EqualValues(t, 2, n)
		require.NoError(t, h.Flush(context.Background(), "others"))
		require.Equal(t, map[Bin[string]]int64{{Key: "others", From: 7, To: 7}: 2}, sink.all())
		require.NoError(t, h.FlushAsync("key-0"))
		synctest.Wait()
		require.EqualValues(t, 2, h.Info().Flushes)
	})
}

// TestG12_AHistogramLosesNothing has many record while it is flushed and refused.
func TestG12_AHistogramLosesNothing(t *testing.T) {
	h, sink := newHistogram(t, Scale{Digits: 1}, Config[Bin[string]]{Interval: time.Millisecond, Backoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, Idle: time.Millisecond})
	sink.before = fails[Bin[string]](20, ErrNotStored)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for i := range int64(1000) {
				if err := h.Record("a", i); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					_ = h.Flush(context.Background(), "a")
				}
			}
		})
	}
	users.Wait()
	require.NoError(t, h.Close(context.Background()))
	total := int64(0)
	for _, n := range sink.all() {
		total += n
	}
	require.EqualValues(t, 4000, total)
	sink.check(t)
}

func TestG5_BinsAreReckonedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, scale := range []Scale{{}, {Highest: 1000, Digits: 1}, {Digits: 4}} {
			h, err := NewHistogram(roomtest.System(t), "h", scale, Config[Bin[string]]{Sink: newTable[Bin[string]](), MaxBytes: 8 << 20})
			require.NoError(t, err)
			require.NoError(t, h.Record("a", 1))
			reckoned := h.Info().Bytes
			e, _ := h.ledger.family.Lookup("a")
			require.GreaterOrEqual(t, reckoned, int64(keyCost+e.Value.cell.h.ByteSize()))
			for i := range 5000 {
				if err := h.Record(strconv.Itoa(i), 1); err != nil {
					require.ErrorIs(t, err, penstock.ErrFull)
					break
				}
			}
			require.LessOrEqual(t, h.Info().Bytes, int64(8<<20))
			require.Greater(t, h.Info().Bytes, int64(6<<20))
		}
	})
}
