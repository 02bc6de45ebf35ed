package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store"
)

func roundTrip(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	want := map[string]int64{}
	for i, amount := range []int64{0, 1, -1, 1 << 53, -1<<53 - 1, math.MaxInt64, math.MinInt64} {
		key, note := fmt.Sprint("key ", i), fmt.Sprint("note ", i)
		a := l.load(key)
		require.Zero(t, *a, "a key without a row")
		a.Amount, a.Note = amount, &note
		require.NoError(t, l.Resource.Save(t.Context(), key, a))
		require.Positive(t, a.Version, "the version that was saved is not in the value")
		got, err := l.Other.Load(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, a, got)
		for n := range 3 { // it need not be loaded again
			before := a.Version
			a.Note = nil
			if n == 2 {
				a.Note = &note
			}
			require.NoError(t, l.Resource.Save(t.Context(), key, a))
			require.Greater(t, a.Version, before)
			require.Equal(t, a, l.load(key))
		}
		want[key] = amount
	}
	l.rows(want, "after saves")
}

func missing(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	_, err := l.NoInsert.Load(t.Context(), "a")
	require.ErrorIs(t, err, store.ErrMissing)
	require.ErrorIs(t, l.NoInsert.Save(t.Context(), "a", &Account{}), store.ErrMissing)
	require.Error(t, l.Resource.Save(t.Context(), "a", &Account{Version: -1}))
	l.rows(map[string]int64{}, "nothing was saved")
	l.set("a", 5)
	first, err := l.NoInsert.Load(t.Context(), "a")
	require.NoError(t, err)
	second := l.load("a")
	require.NoError(t, l.Delete(t.Context(), "a"))
	require.ErrorIs(t, l.NoInsert.Save(t.Context(), "a", first), batch.ErrConflict, "its row is gone")
	require.ErrorIs(t, l.Resource.Save(t.Context(), "a", second), batch.ErrConflict, "its row is gone")
	l.rows(map[string]int64{}, "a row that is gone stays so")
	l.set("a", 6)
	l.rows(map[string]int64{"a": 6}, "until it is loaded again")
}

func conflict(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	for _, there := range []bool{false, true} {
		for i := range 4 {
			key := fmt.Sprint(there, i)
			if there {
				l.set(key, 1)
			}
			first, second := l.load(key), l.load(key)
			first.Amount, second.Amount = 10, 20
			require.NoError(t, l.of(i).Save(t.Context(), key, first))
			kept := *second
			for n := range 2 {
				require.ErrorIs(t, l.of(i/2+n).Save(t.Context(), key, second), batch.ErrConflict)
				require.Equal(t, kept, *second, "a value that was not saved has changed")
			}
			require.EqualValues(t, 10, l.load(key).Amount)
			first.Amount = 30
			require.NoError(t, l.of(i+1).Save(t.Context(), key, first), "its version is the last one")
			require.EqualValues(t, 30, l.load(key).Amount)
		}
	}
}

func many(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	values, errs := l.Resource.LoadMany(t.Context(), nil)
	require.Empty(t, values)
	require.Empty(t, errs)
	require.Empty(t, l.Resource.SaveMany(t.Context(), nil, nil))
	for _, err := range l.Resource.SaveMany(t.Context(), []string{"a", "b"}, []*Account{{}}) {
		require.ErrorIs(t, err, penstock.ErrInvalid)
	}
	l.set("old", 1)
	l.set("behind", 2)
	l.set("gone", 3)
	keys := []string{"new", "behind", "old", "taken", "gone", "new 2"}
	values, errs = l.Resource.LoadMany(t.Context(), keys)
	require.Len(t, values, len(keys))
	require.Equal(t, make([]error, len(keys)), errs)
	for i, amount := range []int64{0, 2, 1, 0, 3, 0} {
		require.Equal(t, amount, values[i].Amount, keys[i])
		values[i].Amount += 100
	}
	l.set("behind", 20)
	l.set("taken", 30)
	require.NoError(t, l.Delete(t.Context(), "gone"))
	errs = l.Resource.SaveMany(t.Context(), keys, values)
	require.Len(t, errs, len(keys))
	for i, key := range keys {
		if key == "behind" || key == "taken" || key == "gone" {
			require.ErrorIs(t, errs[i], batch.ErrConflict, key)
			continue
		}
		require.NoError(t, errs[i], key)
		require.Equal(t, values[i], l.load(key))
	}
	l.rows(map[string]int64{"new": 100, "behind": 20, "old": 101, "taken": 30, "new 2": 100}, "after saves of which some had conflicts")

	values, errs = l.NoInsert.LoadMany(t.Context(), []string{"old", "nobody", "new"})
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], store.ErrMissing)
	require.Nil(t, values[1])
	require.NoError(t, errs[2])
	require.EqualValues(t, 100, values[2].Amount)
}

func refusals(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	for size, refused := range map[int][]int{1: {0}, 2: {0}, 3: {1}, 10: {0, 9}, 20: {3, 4, 5, 11}, 40: nil} {
		var keys []string
		for i := range size {
			keys = append(keys, fmt.Sprint(size, "/", i))
			if i%3 == 0 {
				l.set(keys[i], 1)
			}
		}
		values, errs := l.Resource.LoadMany(t.Context(), keys)
		require.NoError(t, errors.Join(errs...))
		for i, a := range values {
			a.Amount = int64(i + 10)
			if slices.Contains(refused, i) || refused == nil {
				a.Amount = RefusedAmount
			}
		}
		errs = l.Resource.SaveMany(t.Context(), keys, values)
		for i, err := range errs {
			if values[i].Amount != RefusedAmount {
				require.NoError(t, err, keys[i])
				require.Equal(t, values[i], l.load(keys[i]))
				continue
			}
			require.Error(t, err, keys[i])
			require.NotErrorIs(t, err, batch.ErrConflict, "loading it again would not help")
			require.NotErrorIs(t, err, store.ErrUnknown)
			require.NotEqualValues(t, RefusedAmount, l.load(keys[i]).Amount)
		}
	}
}

func manyKeys(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	sizes := []int{1, 2, 150}
	if !testing.Short() {
		sizes = append(sizes, 1100)
	}
	keys := slices.Clone(plainKeys)
	for _, size := range sizes {
		for i := range size {
			keys = append(keys, fmt.Sprintf("key %d of %d", i, size))
		}
	}
	want := map[string]int64{}
	for round := range 2 {
		values, errs := l.of(round).LoadMany(t.Context(), keys)
		require.NoError(t, errors.Join(errs...))
		for i, a := range values {
			require.Equal(t, want[keys[i]], a.Amount, "key %.80q", keys[i])
			a.Amount += int64(i)
			want[keys[i]] = a.Amount
		}
		require.NoError(t, errors.Join(l.Resource.SaveMany(t.Context(), keys, values)...))
		l.rows(want, "all keys")
	}
	for _, hard := range hardKeys {
		some := []string{"a", hard, "0"}
		values, errs := l.Resource.LoadMany(t.Context(), some)
		require.NoError(t, errs[0], "its neighbour is %q", hard)
		require.NoError(t, errs[2], "its neighbour is %q", hard)
		if errs[1] != nil {
			values[1] = &Account{}
		}
		values[0].Amount, values[1].Amount, values[2].Amount = 1, 2, 3
		errs = l.Resource.SaveMany(t.Context(), some, values)
		require.NoError(t, errs[0], "its neighbour is %q", hard)
		require.NoError(t, errs[2], "its neighbour is %q", hard)
		want["a"], want["0"] = 1, 3
		if errs[1] == nil {
			want[hard] = 2
			require.EqualValues(t, 2, l.load(hard).Amount)
		}
		l.rows(want, fmt.Sprintf("key %q, answered with %v", hard, errs[1]))
	}
}

func writers(t testing.TB, open resourceOpener) {
	const callers, rounds, keys = 8, 15, 3
	l := newLedger(t, open)
	require.NoError(t, atOnce(callers, func(i int) error {
		for n := range rounds {
			if err := add(t.Context(), l.of(i), fmt.Sprint((i+n)%keys), 1); err != nil {
				return err
			}
		}
		return nil
	}))
	l.rows(map[string]int64{"0": callers * rounds / keys, "1": callers * rounds / keys, "2": callers * rounds / keys}, "after adding at once")
}

func manyWriters(t testing.TB, open resourceOpener) {
	const callers, rounds, keys = 6, 6, 20
	l := newLedger(t, open)
	require.NoError(t, atOnce(callers, func(i int) error {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		for range rounds {
			var open []string
			for _, k := range random.Perm(keys) {
				open = append(open, fmt.Sprint(k))
			}
			for len(open) > 0 {
				values, errs := l.of(i).LoadMany(t.Context(), open)
				if err := errors.Join(errs...); err != nil {
					return err
				}
				for _, a := range values {
					a.Amount++
				}
				var again []string
				for n, err := range l.of(i).SaveMany(t.Context(), open, values) {
					if errors.Is(err, batch.ErrConflict) {
						again = append(again, open[n])
					} else if err != nil {
						return err
					}
				}
				open = again
			}
		}
		return nil
	}))
	want := map[string]int64{}
	for k := range keys {
		want[fmt.Sprint(k)] = callers * rounds
	}
	l.rows(want, "after adding to many at once")
}

func panics(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	l.set("a", 1)
	is := func(err error) {
		t.Helper()
		_, ok := errors.AsType[*penstock.PanicError](err)
		require.True(t, ok, "%v", err)
	}
	for range 20 { // more than there are connections
		_, err := l.Resource.Load(t.Context(), "panic")
		is(err)
		values, errs := l.Resource.LoadMany(t.Context(), []string{"a", "panic", "b"})
		require.NoError(t, errs[0])
		is(errs[1])
		require.NoError(t, errs[2])
		require.EqualValues(t, 1, values[0].Amount)
		hurt := &Account{Hurt: func() { panic("it hurts") }}
		is(l.Resource.Save(t.Context(), "hurt", hurt))
		errs = l.Resource.SaveMany(t.Context(), []string{"a", "hurt"}, []*Account{values[0], hurt})
		require.NoError(t, errs[0])
		is(errs[1])
	}
	l.rows(map[string]int64{"a": 1}, "after panics")
}

func endings(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	var keys []string
	want := map[string]int64{}
	for i := range 20 {
		keys = append(keys, fmt.Sprint(i))
		want[keys[i]] = 0
	}
	for range rounds {
		values, errs := l.Resource.LoadMany(t.Context(), keys)
		require.NoError(t, errors.Join(errs...))
		ctx, cancel := context.WithCancel(t.Context())
		go func(turns int) {
			for range turns {
				runtime.Gosched()
			}
			cancel()
		}(random.IntN(1 << random.IntN(15)))
		for _, a := range values {
			a.Amount++
		}
		errs = l.Resource.SaveMany(ctx, keys, values)
		cancel()
		got, err := l.Rows(t.Context())
		require.NoError(t, err)
		for i, key := range keys {
			switch err := errs[i]; {
			case err == nil:
				want[key]++
				require.Equal(t, want[key], got[key], "it was said to be saved, and is not")
			case errors.Is(err, store.ErrUnknown): // and it may be under way yet: who saves again waits for it
				if err := l.Other.Save(t.Context(), key, values[i]); err != nil {
					require.ErrorIs(t, err, batch.ErrConflict)
				}
				want[key]++
				require.Equal(t, want[key], l.load(key).Amount)
			default:
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, batch.ErrConflict)
				require.Equal(t, want[key], got[key], "it was saved, and said not to be")
			}
		}
		_, errs = l.Resource.LoadMany(ctx, keys)
		for _, err := range errs {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
}

func waiting(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	if l.Block == nil {
		return
	}
	l.set("a", 1)
	value := l.load("a")
	release, err := l.Block(t.Context())
	require.NoError(t, err)
	value.Amount = 2
	for i := range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := l.of(i).Save(ctx, "a", value)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, store.ErrUnknown)
	}
	require.NoError(t, release())
	l.rows(map[string]int64{"a": 1}, "saves that gave up waiting")
	require.NoError(t, l.Resource.Save(t.Context(), "a", value))
	l.rows(map[string]int64{"a": 2}, "the same save after that")
}
