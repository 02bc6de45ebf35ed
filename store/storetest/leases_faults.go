package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store/lease"
)

// certain reports whether an error says that nothing was changed.
func certain(err error) bool {
	return errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrNameTaken)
}

func endedCalls(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a, b := h.joined("a"), h.tenant("b")
	owned := a.take(1)
	before := a.renew(aLong)
	_, err := b.store.Renew(endedContext(), b.me, aLong)
	require.ErrorIs(t, err, context.Canceled)
	_, err = a.store.Take(endedContext(), a.me, []int{2})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, a.store.Give(endedContext(), a.me, owned), context.Canceled)
	require.ErrorIs(t, a.store.Leave(endedContext(), a.me), context.Canceled)
	require.Equal(t, before, a.renew(aLong), "a call whose context had ended has changed something")
}

// endingCalls ends calls while they run. Each is done whole or not at all, and those that follow find everything as it should be.
func endingCalls(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	watch, client := h.joined("watch"), h.Leases()
	shards := firstShards(20)
	takes, err := timed(func() error { _, err := watch.store.Take(t.Context(), watch.me, shards); return err })
	require.NoError(t, err)
	watch.give(of(watch.renew(aLong), "watch")...)
	var last int64
	for range inShort(40, 15) {
		short := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(2*takes+1))
			t.Cleanup(cancel)
			return ctx
		}
		a := h.tenantOf(client, "a")
		_, err := a.store.Renew(short(), a.me, aLong)
		require.False(t, certain(err), "%v", err)
		a.renew(aLong)
		took, err := a.store.Take(short(), a.me, shards)
		require.False(t, certain(err), "%v", err)
		mine := of(a.renew(aLong), "a")
		for i, s := range mine {
			require.Greater(t, s.Epoch, last)
			require.True(t, err != nil || took[i] == s)
		}
		for _, s := range mine {
			last = max(last, s.Epoch)
		}
		whole(t, mine, shards)
		errGive := a.store.Give(short(), a.me, mine)
		require.False(t, certain(errGive), "%v", errGive)
		left := of(watch.renew(aLong), "a")
		whole(t, left, shards)
		require.True(t, err != nil || len(mine) > 0 && (errGive != nil || len(left) == 0), "%d and then %d, and no error", len(mine), len(left))
		err = a.store.Leave(short(), a.me)
		require.False(t, certain(err), "%v", err)
		a.leave()
		v := watch.renew(aLong)
		require.Equal(t, []lease.Member{watch.me}, v.Members)
		require.Empty(t, v.Shards)
	}
}

// whole requires that a call was done whole, or not at all.
func whole(t testing.TB, owned []lease.Shard, shards []int) {
	t.Helper()
	if len(owned) > 0 {
		require.Equal(t, shards, numbers(owned), "some, and others not")
	}
}

func timed(run func() error) (time.Duration, error) {
	start := time.Now()
	err := run()
	return time.Since(start), err
}

func away(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	if h.Cut == nil {
		return
	}
	a, b, c := h.joined("a"), h.joined("b"), h.joined("c")
	owned, given := a.take(1, 2), c.take(4)
	for range 3 {
		restore := h.Cut()
		for _, call := range []func(ctx context.Context) error{
			func(ctx context.Context) error { _, err := a.store.Renew(ctx, a.me, aLong); return err },
			func(ctx context.Context) error { _, err := b.store.Take(ctx, b.me, []int{1, 3}); return err },
			func(ctx context.Context) error { return c.store.Give(ctx, c.me, given) },
			func(ctx context.Context) error { return c.store.Leave(ctx, c.me) },
		} {
			err := call(h.within(200 * time.Millisecond))
			require.Error(t, err, "the store is away")
			require.False(t, certain(err), "nobody can know: %v", err)
		}
		restore()
		var v lease.View
		require.Eventually(t, func() bool {
			var err error
			v, err = a.store.Renew(h.within(10*time.Second), a.me, aLong)
			return err == nil
		}, time.Minute, 10*time.Millisecond, "the store is there again")
		require.Equal(t, owned, of(v, "a"), "leases have outlived the store's absence")
		require.Contains(t, v.Members, b.me)
	}
}
