package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

func extremes(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	for _, pair := range [][2]int64{
		{math.MaxInt64, 1}, {math.MaxInt64, math.MaxInt64}, {math.MaxInt64, -1}, {math.MaxInt64, math.MinInt64}, {math.MaxInt64, 0},
		{math.MinInt64, -1}, {math.MinInt64, math.MinInt64}, {math.MinInt64, 1}, {math.MinInt64, math.MaxInt64}, {math.MinInt64, 0},
		{math.MaxInt64 - 1, 1}, {math.MaxInt64 - 1, 2}, {math.MinInt64 + 1, -1}, {math.MinInt64 + 1, -2},
		{1 << 53, 1}, {-(1 << 53), -1}, {0, 0}, {5, -5}, {-5, 3}, {0, math.MinInt64}, {0, math.MaxInt64}, {-1, math.MinInt64}, {1, math.MaxInt64},
	} {
		key := fmt.Sprint(pair)
		b.flush(delta(key, pair[0]))
		b.flush(delta(key, pair[1]))
	}
	b.check("extremes")
}

func sizes(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	sizes := []int{0, 1, 2, 99, 100, 101, 999, 1000, 1001, 5000}
	if !testing.Short() {
		sizes = append(sizes, 70_000) // over every bound on arguments
	}
	for _, size := range sizes {
		deltas := make([]stat.Delta[string], size)
		for i := range deltas {
			deltas[i] = delta(fmt.Sprintf("key %d", i), int64(i%7))
		}
		b.flush(deltas...)
	}
	b.check("sizes")
}

// plainKeys are those that every database can hold. Some differ only in what a careless comparison overlooks.
var plainKeys = []string{
	"", " ", "a", "A", "a ", " a", "à", "a\u0300", "0", "00", "0.0", "1e3", "-1", "NULL", "null", "true", `"`, "'", `\`, `\\`, `\0`, "%", "_", ";", "--",
	"'; DROP TABLE views; --", `"}`, "{}", "[1]", ",", "\t", "\n", "\r\n", "日本語", "🧮", "\u200b", "\u202e", "ß", "ss", "İ", "i", "I", "ı",
	"?", "$1", ":a", "@p1", strings.Repeat("long ", 400),
}

// hardKeys are those that a database may refuse.
var hardKeys = []string{"\x00", "a\x00b", "a\x00", "\xff", "a\xc3", "\xed\xa0\x80"}

func keys(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	for n, k := range plainKeys {
		b.flush(delta(k, int64(n+1)))
		b.check(fmt.Sprintf("key %.80q", k))
	}
	all := make([]stat.Delta[string], 0, len(plainKeys))
	for n, k := range plainKeys {
		all = append(all, delta(k, int64(n)))
	}
	b.flush(all...)
	b.check("all keys at once")
	for _, k := range hardKeys {
		deltas := []stat.Delta[string]{delta("a", 1), delta(k, 2), delta("z", 3)}
		err := b.Sink.Flush(t.Context(), stat.Flush[string]{ID: b.id(), Deltas: deltas})
		if err == nil {
			b.note(deltas)
		} else {
			require.ErrorIs(t, err, stat.ErrNotStored, "key %q", k)
		}
		b.check(fmt.Sprintf("key %q, answered with %v", k, err))
	}
}

func again(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	first := b.flush(delta("a", 1), delta("b", -2))
	second := b.flush(delta("b", 5))
	for i := range 6 {
		require.NoError(t, b.sinkOf(i).Flush(t.Context(), first), "again")
		require.NoError(t, b.sinkOf(i/2).Flush(t.Context(), second), "again")
	}
	b.check("the same flush again")
}

func sameAtOnce(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	for range 20 {
		f := stat.Flush[string]{ID: b.id(), Deltas: []stat.Delta[string]{delta("a", 1), delta("b", 10)}}
		require.NoError(t, atOnce(8, func(i int) error { return b.sinkOf(i).Flush(t.Context(), f) }))
		b.note(f.Deltas)
		b.check("the same flush at once")
	}
}

func othersAtOnce(t testing.TB, open opener) {
	const callers, flushes, keys = 8, 12, 40
	b := newBench(t, open, store.Sum)
	err := atOnce(callers, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		for n := range flushes {
			var deltas []stat.Delta[string]
			for _, k := range random.Perm(keys) {
				deltas = append(deltas, delta(fmt.Sprint("key ", k), int64(k)))
			}
			if err := b.sinkOf(i).Flush(t.Context(), stat.Flush[string]{ID: fmt.Sprint(i, "/", n), Deltas: deltas}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	for k := range keys {
		b.want[fmt.Sprint("key ", k)] = int64(k) * callers * flushes
	}
	b.check("flushes at once")
}

func middle(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	b.flush(delta("a", 1), delta("z", 1))
	for _, size := range []int{1, 3, 1001} {
		var deltas []stat.Delta[string]
		for i := range size / 2 {
			deltas = append(deltas, delta(fmt.Sprint("a", i), 1), delta(fmt.Sprint("z", i), 1))
		}
		deltas = slices.Insert(deltas, len(deltas)/2, delta(Refused, 1))
		f := stat.Flush[string]{ID: b.id(), Deltas: deltas}
		for i := range 2 {
			require.ErrorIs(t, b.sinkOf(i).Flush(t.Context(), f), stat.ErrNotStored, "the key %q must be refused", Refused)
			b.check("after a failure in the middle")
		}
		f.Deltas = []stat.Delta[string]{delta("a", 1)}
		require.NoError(t, b.Sink.Flush(t.Context(), f))
		b.note(f.Deltas)
		b.check("an ID is not remembered when its flush failed")
	}
}

func neverNotStored(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	f := b.flush(delta("a", 1))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Sink.Flush(ended, f)
	require.NotErrorIs(t, err, stat.ErrNotStored, "it was stored by an attempt before")
	for _, deltas := range [][]stat.Delta[string]{{delta(Refused, 1)}, {delta("\x00", 1)}} {
		err := b.Other.Flush(t.Context(), stat.Flush[string]{ID: f.ID, Deltas: deltas})
		require.NotErrorIs(t, err, stat.ErrNotStored, "it was stored by an attempt before")
	}
	b.check("after attempts that failed")
}

func badIDs(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	for _, id := range []string{"", strings.Repeat("x", 65), "a\x00b", "é", "\n"} {
		err := b.Sink.Flush(t.Context(), stat.Flush[string]{ID: id, Deltas: []stat.Delta[string]{delta("a", 1)}})
		require.Error(t, err, "ID %.80q", id)
	}
	b.check("after IDs that are none")
}

func untouched(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	deltas := []stat.Delta[string]{delta("c", 3), delta("a", 1), delta("b", 2)}
	kept := slices.Clone(deltas)
	f := b.flush(deltas...)
	require.Equal(t, kept, deltas, "the sink changed the deltas")
	deltas[0] = delta("other", 100)
	require.NoError(t, b.Sink.Flush(t.Context(), f))
	b.check("the sink kept the deltas")
}

func cancelled(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	for n := range rounds {
		key := fmt.Sprint("key ", n)
		f := stat.Flush[string]{ID: b.id(), Deltas: []stat.Delta[string]{delta("all", 1), delta(key, 1)}}
		for i := range 200 {
			f.Deltas = append(f.Deltas, delta(fmt.Sprint("other ", i), 1))
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func(turns int) {
			for range turns {
				runtime.Gosched()
			}
			cancel()
		}(random.IntN(1 << random.IntN(16)))
		err := b.Sink.Flush(ctx, f)
		cancel()
		_, there := b.counts()[key]
		if errors.Is(err, stat.ErrNotStored) {
			require.False(t, there, "it was stored, and said not to be")
		}
		if err == nil {
			require.True(t, there, "it was said to be stored, and is not")
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
		require.NoError(t, b.Sink.Flush(t.Context(), f), "again")
		b.note(f.Deltas)
	}
	b.check("after contexts that ended")
}

func blocked(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	if b.Block == nil {
		return
	}
	b.flush(delta("a", 1))
	release, err := b.Block(t.Context())
	require.NoError(t, err)
	f := stat.Flush[string]{ID: b.id(), Deltas: []stat.Delta[string]{delta("a", 1)}}
	for i := range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := b.sinkOf(i).Flush(ctx, f)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, release())
	b.check("flushes that gave up waiting")
	require.NoError(t, b.Sink.Flush(t.Context(), f))
	b.note(f.Deltas)
	b.check("the same flush after that")
}

func forgotten(t testing.TB, open opener) {
	b := newBench(t, open, store.Sum)
	if b.IDs == nil {
		return
	}
	const old, most = 20, 1000
	for range old {
		b.flush(delta("a", 1))
	}
	require.NoError(t, b.Age(t.Context(), b.Retain/2))
	young := b.flush(delta("a", 1))
	require.NoError(t, b.Age(t.Context(), b.Retain*3/4))
	flushes := 1
	for ; flushes < most; flushes++ {
		b.flush(delta("a", 1))
		ids, err := b.IDs(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, ids, flushes, "IDs were forgotten that are not old")
		if ids <= flushes+1 {
			break
		}
	}
	require.Less(t, flushes, most, "old IDs are still remembered after as many flushes")
	require.NoError(t, b.Sink.Flush(t.Context(), young), "again")
	b.check("a flush whose ID is not old yet is stored once")
}
