package etcd

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store/lease"
)

// requireUnknown requires an error that leaves it open what was done.
func requireUnknown(t testing.TB, err error) {
	t.Helper()
	require.Error(t, err)
	for _, certain := range []error{lease.ErrLost, lease.ErrNameTaken, penstock.ErrInvalid} {
		require.False(t, errors.Is(err, certain), "%v", err)
	}
}

// granted is how long a member's lease lives after each keep-alive.
func granted(t testing.TB, l *Leases, m lease.Member) time.Duration {
	t.Helper()
	s, err := l.read(t.Context())
	require.NoError(t, err)
	ttl, err := l.client.TimeToLive(t.Context(), s.members[m.Name].lease)
	require.NoError(t, err)
	return time.Duration(ttl.GrantedTTL) * time.Second
}

// ended waits until a member's lease has ended, which nobody renews.
func ended(t testing.TB, l *Leases, m lease.Member) {
	t.Helper()
	require.Eventually(t, func() bool {
		s, err := l.read(t.Context())
		require.NoError(t, err)
		_, ok := s.members[m.Name]
		return !ok
	}, time.Minute, 10*time.Millisecond)
}

// TestG11_AnswersThatAreLost makes each call, whose caller does not hear that it was done, again.
func TestG11_AnswersThatAreLost(t *testing.T) {
	t.Parallel()
	client, prefix, w := wiredClient(t)
	l, other := newLeases(t, client, prefix), newLeases(t, client, prefix)
	ctx := t.Context()
	a := newMember("a")

	w.loseAnswer()
	_, err := l.Renew(ctx, a, aLong)
	requireUnknown(t, err)
	require.Equal(t, []lease.Member{a}, renew(t, l, a, aLong).Members)

	w.loseAnswer()
	_, err = l.Take(ctx, a, []int{1, 2})
	requireUnknown(t, err)
	require.Empty(t, take(t, l, a, 1, 2), "they are its own")
	owned := renew(t, l, a, aLong).Shards
	require.Len(t, owned, 2)

	w.loseAnswer()
	requireUnknown(t, l.Give(ctx, a, owned))
	require.NoError(t, l.Give(ctx, a, owned))
	require.Empty(t, renew(t, l, a, aLong).Shards)

	w.loseAnswer()
	_, err = l.Renew(ctx, a, time.Minute)
	requireUnknown(t, err)
	renew(t, l, a, time.Minute)
	require.Equal(t, time.Minute, granted(t, l, a))

	w.loseAnswer()
	requireUnknown(t, l.Leave(ctx, a))
	require.NoError(t, l.Leave(ctx, a))

	t.Run("and the lease has ended when it is made again", func(t *testing.T) {
		b := newMember("b")
		w.loseAnswer()
		_, err = l.Renew(ctx, b, time.Second)
		requireUnknown(t, err)
		ended(t, l, b)
		for _, l := range []*Leases{l, other} {
			_, err = l.Renew(ctx, b, aLong)
			require.ErrorIs(t, err, lease.ErrLost, "it has lived, though nobody heard of it")
		}
	})
}

// TestG11_CallsThatComeLate has the server carry out what its caller has given up, when other things have happened.
func TestG11_CallsThatComeLate(t *testing.T) {
	t.Parallel()
	client, prefix, w := wiredClient(t)
	l := newLeases(t, client, prefix)
	ctx := t.Context()

	t.Run("a join, after another one's", func(t *testing.T) {
		first, second := newMember("join"), newMember("join")
		send := w.delay(0)
		_, err := l.Renew(ctx, first, aLong)
		requireUnknown(t, err)
		renew(t, l, second, aLong)
		require.NoError(t, send())
		require.Equal(t, []lease.Member{second}, renew(t, l, second, aLong).Members)
		require.NoError(t, l.Leave(ctx, second))
	})
	t.Run("a join, after the lease's end", func(t *testing.T) {
		m := newMember("join")
		send := w.delay(0)
		_, err := l.Renew(ctx, m, aLong)
		requireUnknown(t, err)
		renew(t, l, m, aLong)
		require.NoError(t, l.Leave(ctx, m))
		require.NoError(t, send())
		_, err = l.Renew(ctx, m, aLong)
		require.ErrorIs(t, err, lease.ErrLost)
	})
	t.Run("a join, after its own lease's end", func(t *testing.T) {
		m := newMember("join")
		send := w.delay(0)
		_, err := l.Renew(ctx, m, time.Second)
		requireUnknown(t, err)
		require.Eventually(t, func() bool {
			left, err := client.TimeToLive(ctx, w.granted)
			require.NoError(t, err)
			return left.TTL < 0
		}, time.Minute, 10*time.Millisecond)
		require.ErrorContains(t, send(), "lease not found")
		renew(t, l, m, aLong)
		require.NoError(t, l.Leave(ctx, m))
	})
	t.Run("a taking, after the lease's end", func(t *testing.T) {
		first, second := newMember("take"), newMember("take")
		renew(t, l, first, aLong)
		send := w.delay(0)
		_, err := l.Take(ctx, first, []int{1})
		requireUnknown(t, err)
		require.NoError(t, l.Leave(ctx, first))
		renew(t, l, second, aLong)
		require.NoError(t, send())
		require.Empty(t, renew(t, l, second, aLong).Shards)
		require.NoError(t, l.Leave(ctx, second))
	})
	t.Run("a taking, while the lease ends", func(t *testing.T) {
		m, other := newMember("take"), newLeases(t, client, prefix)
		renew(t, l, m, aLong)
		w.set(func(call func(context.Context) error) error {
			require.NoError(t, other.Leave(ctx, m))
			return call(ctx)
		})
		_, err := l.Take(ctx, m, []int{1})
		require.ErrorIs(t, err, lease.ErrLost)
	})
	t.Run("a taking, after another one's", func(t *testing.T) {
		a, b := newMember("a"), newMember("b")
		renew(t, l, a, aLong)
		renew(t, l, b, aLong)
		send := w.delay(0)
		_, err := l.Take(ctx, a, []int{1, 2})
		requireUnknown(t, err)
		taken := take(t, l, b, 2, 3)
		require.NoError(t, send())
		require.Equal(t, taken, renew(t, l, a, aLong).Shards)
		require.NoError(t, l.Leave(ctx, a))
		require.NoError(t, l.Leave(ctx, b))
	})
	t.Run("a leaving, after the next life's beginning", func(t *testing.T) {
		first, second := newMember("leave"), newMember("leave")
		renew(t, l, first, aLong)
		send := w.delay(0)
		requireUnknown(t, l.Leave(ctx, first))
		require.NoError(t, l.Leave(ctx, first))
		renew(t, l, second, aLong)
		require.NoError(t, send())
		require.Equal(t, []lease.Member{second}, renew(t, l, second, aLong).Members)
		require.NoError(t, l.Leave(ctx, second))
	})
	t.Run("a shorter lease, after a longer one", func(t *testing.T) {
		for skip, name := range []string{"what says so", "what does it"} {
			m := newMember(name)
			renew(t, l, m, aLong)
			send := w.delay(skip)
			_, err := l.Renew(ctx, m, time.Minute)
			requireUnknown(t, err)
			renew(t, l, m, aLong)
			require.NoError(t, send())
			require.Equal(t, aLong, granted(t, l, m), "the lease was made shorter by a call that came late: %s", name)
			renew(t, l, m, aLong)
			require.Equal(t, aLong, granted(t, l, m))
			require.NoError(t, l.Leave(ctx, m))
		}
	})
}

// TestG11_OnlyALeaderKeepsLeasesAlive has keep-alives answered in a term that has ended.
func TestG11_OnlyALeaderKeepsLeasesAlive(t *testing.T) {
	t.Parallel()
	client, prefix, w := wiredClient(t)
	l, m := newLeases(t, client, prefix), newMember("a")
	renew(t, l, m, aLong)
	stale := 3
	w.term = func(term uint64) uint64 {
		if stale--; stale >= 0 {
			return term - 1
		}
		return term
	}
	renew(t, l, m, aLong)
	_, keepAlives := w.counts()
	require.Equal(t, 4, keepAlives, "until one was answered by who leads")

	w.term = func(term uint64) uint64 { return term - 1 }
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := l.Renew(ctx, m, aLong)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestG11_KeepAlivesOfWhatHasEnded has a lease end, or move, after it was kept alive and before the renewal is done.
func TestG11_KeepAlivesOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	client, prefix, w := wiredClient(t)
	l, other, m := newLeases(t, client, prefix), newLeases(t, connect(t, server), prefix), newMember("a")
	once := func(do func()) {
		w.term = func(term uint64) uint64 {
			w.term = nil
			do()
			return term
		}
	}
	renew(t, l, m, aLong)
	once(func() { renew(t, other, m, time.Minute) })
	renew(t, l, m, aLong)
	require.Equal(t, aLong, granted(t, l, m), "the renewal that ended last is the one that counts")
	once(func() { require.NoError(t, other.Leave(t.Context(), m)) })
	_, err := l.Renew(t.Context(), m, aLong)
	require.ErrorIs(t, err, lease.ErrLost)
}

// TestARenewalWritesNothing holds the store's history to what changes.
func TestARenewalWritesNothing(t *testing.T) {
	t.Parallel()
	client, prefix, w := wiredClient(t)
	l, m := newLeases(t, client, prefix), newMember("a")
	renew(t, l, m, aLong)
	take(t, l, m, 1, 2, 3)
	before, _ := w.counts()
	for range 10 {
		renew(t, l, m, aLong)
		require.Empty(t, take(t, l, m, 1, 2, 3))
		require.NoError(t, l.Give(t.Context(), m, []lease.Shard{{Number: 4, Epoch: 1}}))
	}
	after, _ := w.counts()
	require.Equal(t, before, after)
}

// TestG11_AMemberMovesWithItsAddress renews with another address and other times: its life goes on, and it owns what it owned.
func TestG11_AMemberMovesWithItsAddress(t *testing.T) {
	t.Parallel()
	client, prefix := newClient(t)
	l, m := newLeases(t, client, prefix), newMember("a")
	renew(t, l, m, aLong)
	owned := take(t, l, m, 1, 2)
	for _, ttl := range []time.Duration{time.Hour, time.Minute, 90*time.Second + 1, aLong} {
		m.Address += "'"
		require.Equal(t, lease.View{Members: []lease.Member{m}, Shards: owned}, renew(t, l, m, ttl))
		require.Equal(t, ttl.Truncate(time.Second)+map[bool]time.Duration{true: time.Second}[ttl%time.Second > 0], granted(t, l, m))
	}
}

// TestG11_WhatSomebodyElseHasWritten finds keys as Penstock does not write them.
func TestG11_WhatSomebodyElseHasWritten(t *testing.T) {
	t.Parallel()
	client, prefix := newClient(t)
	l, m := newLeases(t, client, prefix), newMember("a")
	ctx := t.Context()
	put := func(key, value string, opts ...clientv3.OpOption) {
		_, err := client.Put(ctx, prefix+key, value, opts...)
		require.NoError(t, err)
	}
	remove := func(keys string) {
		_, err := client.Delete(ctx, prefix+keys, clientv3.WithPrefix())
		require.NoError(t, err)
	}
	put("members/a", `{"incarnation":"1"}`)
	_, err := l.Renew(ctx, m, aLong)
	requireUnknown(t, err)
	require.ErrorContains(t, err, "no lease")
	remove("")
	put("shards", "{")
	_, err = l.Renew(ctx, m, aLong)
	requireUnknown(t, err)
	require.ErrorContains(t, err, prefix+"shards")
	remove("shards")
	before := take(t, l, m, 1)
	remove("")
	_, err = l.Take(ctx, m, []int{1})
	require.ErrorIs(t, err, lease.ErrLost)
	again := newMember("a")
	renew(t, l, again, aLong)
	require.Greater(t, take(t, l, again, 1)[0].Epoch, before[0].Epoch, "epochs began anew")
}

// TestLivesAreForgotten joins where as many have joined as are remembered.
func TestLivesAreForgotten(t *testing.T) {
	t.Parallel()
	client, prefix := newClient(t)
	l := newLeases(t, client, prefix)
	ctx := t.Context()
	for range maxLives / 100 {
		var ops []clientv3.Op
		for range 100 {
			ops = append(ops, clientv3.OpPut(l.life(newMember("gone")), ""))
		}
		_, err := client.Txn(ctx).Then(ops...).Commit()
		require.NoError(t, err)
	}
	a := newMember("a")
	renew(t, l, a, aLong)
	lives, err := client.Get(ctx, l.lives, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.EqualValues(t, maxLives, lives.Count)
	require.NoError(t, l.Leave(ctx, a))
	_, err = l.Renew(ctx, a, aLong)
	require.ErrorIs(t, err, lease.ErrLost, "the youngest was forgotten")
}

func TestG11_NoServer(t *testing.T) {
	t.Parallel()
	l, m := newLeases(t, connect(t, "127.0.0.1:1"), ""), newMember("a")
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := l.Renew(ctx, m, aLong); return err },
		func(ctx context.Context) error { _, err := l.Take(ctx, m, []int{1}); return err },
		func(ctx context.Context) error { return l.Give(ctx, m, []lease.Shard{{Number: 1, Epoch: 1}}) },
		func(ctx context.Context) error { return l.Leave(ctx, m) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		requireUnknown(t, call(ctx))
		cancel()
	}
}

func TestClustersHaveTheirOwnPrefixes(t *testing.T) {
	t.Parallel()
	client, prefix := newClient(t)
	one, two := newLeases(t, client, prefix+"1/"), newLeases(t, client, prefix+"2/")
	a, b := newMember("a"), newMember("a")
	renew(t, one, a, aLong)
	renew(t, two, b, aLong)
	take(t, one, a, 1)
	require.Len(t, take(t, two, b, 1), 1)
	require.Equal(t, []lease.Member{a}, renew(t, one, a, aLong).Members)
}
