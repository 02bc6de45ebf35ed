package keytest

import (
	"context"
	"errors"
	"maps"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// table is a sink that adds up.
type table[K comparable] struct {
	mu   sync.Mutex
	sums map[K]int64
}

func (t *table[K]) Flush(_ context.Context, f stat.Flush[K]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range f.Deltas {
		t.sums[d.Key] += d.N
	}
	return nil
}

func (t *table[K]) all() map[K]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.sums)
}

func newTable[K comparable]() *table[K] { return &table[K]{sums: make(map[K]int64)} }

func newBuffer[K comparable](t *testing.T, cfg stat.Config[K]) *stat.Buffer[K] {
	t.Helper()
	b, err := stat.NewBuffer(roomtest.System(t), "test", cfg)
	require.NoError(t, err)
	return b
}

type point struct{ x, y int }

// TestS2_AnyComparableKey counts for keys that print alike, too.
func TestS2_AnyComparableKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		countAll(t, []string{"a", "ä", "a/b", "a#b", "*", "x y", "\x00"})
		countAll(t, []int{0, -1, math.MinInt, math.MaxInt})
		countAll(t, []point{{}, {1, 2}, {2, 1}})
		countAll(t, [][2]string{{"a", "b"}, {"a b", ""}, {"", "a b"}})
		countAll(t, []bool{true, false})
		countAll(t, []any{"1", 1, int64(1), 1.0, point{1, 2}, nil, [1]int{1}})
		one, two := new(int), new(int)
		countAll(t, []*int{one, two, nil})
	})
}

func countAll[K comparable](t *testing.T, keys []K) {
	t.Helper()
	sink := newTable[K]()
	b := newBuffer(t, stat.Config[K]{Sink: sink})
	want := make(map[K]int64)
	for i, key := range keys {
		require.NoError(t, b.Increment(key, int64(i+1)))
		require.NoError(t, b.Increment(key, 10))
		want[key] = int64(i + 11)
		n, ok := b.Count(key)
		require.True(t, ok)
		require.Equal(t, want[key], n)
	}
	time.Sleep(6 * time.Second)
	require.Equal(t, want, sink.all())
	for _, key := range keys {
		_, ok := b.Count(key)
		require.False(t, ok)
	}
}

type name string

func TestS3_BadKeysAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused(t, "", strings.Repeat("k", 513), "a\xffb")
		refused(t, name(""), name(strings.Repeat("k", 513)), name("\xff"))
		refused(t, math.NaN())
		refused(t, place{math.NaN(), 1})
		refused[any](t, "", math.NaN(), "\xff", []int{1}, map[int]int{}, [1]any{func() {}})
		refused(t, struct{ any }{[]int{1}})
		accepted(t, strings.Repeat("k", 512), " ", "\x00")
		accepted(t, math.Inf(1), 0, -1)
		accepted(t, place{1, 2})
		accepted[any](t, nil, 1, place{1, 2}, struct{ any }{1})
	})
}

type place struct{ x, y float64 }

func refused[K comparable](t *testing.T, keys ...K) {
	t.Helper()
	sink := newTable[K]()
	b := newBuffer(t, stat.Config[K]{Sink: sink})
	for _, key := range keys {
		err := b.Increment(key, 1)
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, `"test"`)
		require.Less(t, len(err.Error()), 2500)
		require.ErrorIs(t, b.Counter(key).Add(1), penstock.ErrInvalid)
		_, ok := b.Count(key)
		require.False(t, ok)
		require.NoError(t, b.Flush(context.Background(), key))
	}
	require.Zero(t, b.Info().Keys)
	require.NoError(t, b.Close(context.Background()))
	require.Empty(t, sink.all())
}

func accepted[K comparable](t *testing.T, keys ...K) {
	t.Helper()
	b := newBuffer(t, stat.Config[K]{Sink: newTable[K]()})
	for _, key := range keys {
		require.NoError(t, b.Increment(key, 1))
	}
	require.NoError(t, b.Close(context.Background()))
}

func TestKeysOfAnyTypeAreJournaled(t *testing.T) {
	type page struct{ Path, Client string }
	path := filepath.Join(t.TempDir(), "journal")
	sys := roomtest.System(t)
	cfg := stat.Config[page]{Sink: failing[page]{errors.New("away")}, Journal: stat.Journal[page]{Path: path}}
	b, err := stat.NewBuffer(sys, "b", cfg)
	require.NoError(t, err)
	require.NoError(t, b.IncrementDurable(context.Background(), page{"/", "me"}, 4))
	require.Error(t, b.Close(roomtest.EndedContext()))
	b, err = stat.NewBuffer(sys, "b", cfg)
	require.NoError(t, err)
	n, ok := b.Count(page{"/", "me"})
	require.True(t, ok)
	require.Equal(t, int64(4), n)

	type month struct{ user, month string }
	m, err := stat.NewBuffer(sys, "m", stat.Config[month]{Sink: failing[month]{}, Journal: stat.Journal[month]{Path: path + "3"}})
	require.NoError(t, err)
	err = m.IncrementDurable(context.Background(), month{"ada", "May"}, 1)
	require.ErrorIs(t, err, penstock.ErrInvalid, "all such keys would be one in the journal")
	require.Zero(t, m.Info().Keys)

	type unreadable struct{ C chan int }
	u, err := stat.NewBuffer(sys, "u", stat.Config[unreadable]{Sink: failing[unreadable]{}, Journal: stat.Journal[unreadable]{Path: path + "2"}})
	require.NoError(t, err)
	require.ErrorContains(t, u.Increment(unreadable{make(chan int)}, 1), "it cannot be written to the journal")
}

// failing answers every flush with its error.
type failing[K comparable] struct{ err error }

func (n failing[K]) Flush(context.Context, stat.Flush[K]) error { return n.err }
