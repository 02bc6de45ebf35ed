package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/cluster"
)

// TestResourceEpochs proves that a resource whose rows have epochs refuses owners of the past. Open is called for each test, and makes a
// ResourceBackend whose resources have an Epoch, with an empty table.
func TestResourceEpochs(t *testing.T, open func(t testing.TB) ResourceBackend) {
	for _, c := range epochCases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

var epochCases = []struct {
	name string
	run  func(t testing.TB, open resourceOpener)
}{
	{"an old owner saves nothing", oldOwner},
	{"a save that is late comes before the new owner's, or not at all", lateSave},
	{"outside a cluster epochs stay as they are", noCluster},
	{"many at once, each under its own epoch", manyEpochs},
	{"any order of owners", epochModel},
}

func under(t testing.TB, epoch int64) context.Context { return cluster.WithEpoch(t.Context(), epoch) }

// loadUnder loads as an owner.
func (l *ledger) loadUnder(epoch int64, key string) *Account {
	l.t.Helper()
	a, err := l.Resource.Load(under(l.t, epoch), key)
	require.NoError(l.t, err)
	return a
}

// saveUnder saves an amount as an owner.
func (l *ledger) saveUnder(epoch int64, key string, a *Account, amount int64) error {
	a.Amount = amount
	return l.Other.Save(under(l.t, epoch), key, a)
}

func (l *ledger) stale(err error, why string) {
	l.t.Helper()
	require.ErrorIs(l.t, err, batch.ErrStaleEpoch, why)
	require.NotErrorIs(l.t, err, batch.ErrConflict, "to run it again would be in vain")
}

func oldOwner(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	for _, there := range []bool{false, true} {
		key := fmt.Sprint("key ", there)
		if there {
			require.NoError(t, l.saveUnder(3, key, l.loadUnder(3, key), 1))
		}
		old, now := l.loadUnder(4, key), l.loadUnder(6, key)
		require.NoError(t, l.saveUnder(6, key, now, 60))
		require.EqualValues(t, 6, now.Epoch)
		for range 2 {
			before := *old
			l.stale(l.saveUnder(4, key, old, before.Amount), "the row is another owner's")
			require.Equal(t, before, *old, "a value that was not saved has changed")
		}
		_, err := l.Resource.Load(under(t, 5), key)
		l.stale(err, "it was written under epoch 6")
		copied := *now // the old owner has got hold of the row's version
		l.stale(l.saveUnder(5, key, &copied, 50), "its version is the row's, and its epoch is not")
		require.EqualValues(t, 60, l.loadUnder(6, key).Amount)
		require.NoError(t, l.saveUnder(6, key, now, 61), "an owner saves as often as it likes")
		require.NoError(t, l.saveUnder(9, key, l.loadUnder(9, key), 90))
		l.stale(l.saveUnder(6, key, now, 62), "now it is an old owner itself")
		require.EqualValues(t, 90, l.load(key).Amount)
	}
	first, second := l.loadUnder(9, "key true"), l.loadUnder(9, "key true")
	require.NoError(t, l.saveUnder(9, "key true", first, 91))
	require.ErrorIs(t, l.saveUnder(9, "key true", second, 92), batch.ErrConflict, "somebody else of the same epoch")
}

// lateSave is an owner that was stopped between its load and its save, while another one has come to own the row.
func lateSave(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	for _, there := range []bool{false, true} {
		key := fmt.Sprint("key ", there)
		if there {
			require.NoError(t, l.saveUnder(1, key, l.loadUnder(1, key), 1))
		}
		old, now := l.loadUnder(1, key), l.loadUnder(2, key)
		require.NoError(t, l.saveUnder(1, key, old, 10), "nobody has written since it was loaded")
		require.ErrorIs(t, l.saveUnder(2, key, now, 20), batch.ErrConflict, "the new owner must see what the old one has stored")
		now = l.loadUnder(2, key)
		require.EqualValues(t, 10, now.Amount)
		require.NoError(t, l.saveUnder(2, key, now, 20))
		l.stale(l.saveUnder(1, key, old, 11), "the new owner has written")
		require.EqualValues(t, 20, l.load(key).Amount)
	}
}

func noCluster(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	a := l.set("a", 1)
	require.Zero(t, a.Epoch)
	require.NoError(t, l.saveUnder(5, "a", l.loadUnder(5, "a"), 2))
	l.set("a", 3)
	require.EqualValues(t, 5, l.load("a").Epoch)
	require.ErrorIs(t, l.Resource.Save(t.Context(), "a", a), batch.ErrConflict)
	_, err := l.Resource.Load(under(t, 4), "a")
	l.stale(err, "what was saved outside a cluster is the last owner's")
	require.NoError(t, l.saveUnder(5, "a", l.loadUnder(5, "a"), 4))
	l.rows(map[string]int64{"a": 4}, "after all")
}

func manyEpochs(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	keys := []string{"a", "b", "c", "new"}
	for i, key := range keys[:3] {
		require.NoError(t, l.saveUnder(int64(i+1)*10, key, l.loadUnder(1, key), int64(i)))
	}
	all := func(epochs ...int64) context.Context { return cluster.WithEpochs(t.Context(), epochs) }
	values, errs := l.Resource.LoadMany(all(10, 19, 31, 1), keys)
	require.NoError(t, errs[0])
	l.stale(errs[1], "it was written under epoch 20")
	require.NoError(t, errs[2])
	require.NoError(t, errs[3])
	values[1] = l.load("b")
	require.NoError(t, l.saveUnder(50, "c", l.loadUnder(50, "c"), 500))
	for i, a := range values {
		a.Amount = int64(100 + i)
	}
	errs = l.Resource.SaveMany(all(10, 19, 31, 7), keys, values)
	require.NoError(t, errs[0])
	l.stale(errs[1], "it was written under epoch 20")
	l.stale(errs[2], "it was written under epoch 50")
	require.NoError(t, errs[3])
	require.EqualValues(t, 7, l.load("new").Epoch)
	l.rows(map[string]int64{"a": 100, "b": 1, "c": 500, "new": 103}, "after a save of many owners")

	_, errs = l.Resource.LoadMany(all(10), keys)
	require.ErrorIs(t, errs[3], penstock.ErrInvalid, "an epoch is missing")
	errs = l.Resource.SaveMany(all(10), keys, values)
	require.ErrorIs(t, errs[0], penstock.ErrInvalid, "an epoch is missing")
}

// epochModel loads and saves as owners of any epoch, who keep what they have loaded as long as they like.
func epochModel(t testing.TB, open resourceOpener) {
	l := newLedger(t, open)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		key := fmt.Sprint(run)
		var held []*Account
		var row Account
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			epoch := rapid.Int64Range(1, 4).Draw(r, "epoch")
			if len(held) == 0 || rapid.Bool().Draw(r, "load") {
				a, err := l.Resource.Load(under(t, epoch), key)
				if row.Epoch > epoch {
					require.ErrorIs(r, err, batch.ErrStaleEpoch)
					continue
				}
				require.NoError(r, err)
				require.Equal(r, []int64{row.Amount, row.Version, row.Epoch}, []int64{a.Amount, a.Version, a.Epoch})
				held = append(held, a)
				continue
			}
			a := rapid.SampledFrom(held).Draw(r, "save")
			version := a.Version
			a.Amount = rapid.Int64Range(-100, 100).Draw(r, "amount")
			err := l.Other.Save(under(t, epoch), key, a)
			switch {
			case row.Epoch > epoch:
				require.ErrorIs(r, err, batch.ErrStaleEpoch)
			case row.Version != version:
				require.ErrorIs(r, err, batch.ErrConflict)
			default:
				require.NoError(r, err)
				require.Equal(r, epoch, a.Epoch)
				row = *a
			}
		}
		a, err := l.Resource.Load(t.Context(), key)
		require.NoError(r, err)
		require.Equal(r, []int64{row.Amount, row.Version, row.Epoch}, []int64{a.Amount, a.Version, a.Epoch})
	})
}
