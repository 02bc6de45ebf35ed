package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store/lease"
)

func joining(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	b := h.tenant("b")
	require.Equal(t, []lease.Member{b.me}, b.renew(aLong).Members)
	a := h.tenant("a")
	both := []lease.Member{a.me, b.me}
	require.Equal(t, both, a.renew(aLong).Members, "not by their names")
	require.Empty(t, a.renew(aLong).Shards)
	took := b.take(7, 0, 65535)
	require.Equal(t, []int{0, 7, 65535}, numbers(took))
	mine := a.take(300)
	require.Equal(t, []int{300}, numbers(mine))
	want := lease.View{Members: both, Shards: []lease.Shard{took[0], took[1], mine[0], took[2]}}
	for range 3 { // a renewal changes nothing
		require.Equal(t, want, a.renew(aLong))
		require.Equal(t, want, b.renew(aLong))
	}
	require.Len(t, h.joined("c").renew(aLong).Members, 3, "through another client")
}

func names(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	all := []string{
		"a", "A", "a ", " a", "aa", "ä", "a\u0308", "b/1", "b/", "b", `'"\%_`, "\n\t\r", "$1", "?", "*", ":", "{}", "null", "日本", "\U0010ffff", "\x01",
		strings.Repeat("n", 512), strings.Repeat("n", 511) + "m",
	}
	client := h.Leases()
	for i, name := range all {
		m := h.tenantOf(client, name)
		m.me.Address = strings.Repeat("ü", 256)
		m.me.Incarnation = all[len(all)-1-i]
		m.me.Incarnation = strings.ToValidUTF8(m.me.Incarnation[:min(64, len(m.me.Incarnation))], "")
		if i == 0 {
			m.me.Address = ""
		}
		m.renew(aLong)
		require.Equal(t, []int{i}, numbers(m.take(i)), "%q", name)
		v := m.renew(aLong)
		require.Contains(t, v.Members, m.me)
		require.Len(t, owners(v, name), 1, "%q", name)
	}
	v := h.joined("watcher").renew(aLong)
	require.Len(t, v.Members, len(all)+1)
	require.True(t, slices.IsSortedFunc(v.Members, func(a, b lease.Member) int { return strings.Compare(a.Name, b.Name) }), "not by their names")
}

func nameTaken(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	first := h.tenant("a")
	first.renew(aLong)
	shards := first.take(1, 2)
	owned := epochsOf(shards)
	second := h.tenant("a")
	for range 2 {
		_, err := second.store.Renew(t.Context(), second.me, aLong)
		require.ErrorIs(t, err, lease.ErrNameTaken)
		_, err = second.store.Take(t.Context(), second.me, []int{3})
		require.ErrorIs(t, err, lease.ErrLost, "it has not joined")
		second.give(shards...)
		v := first.renew(aLong)
		require.Equal(t, []lease.Member{first.me}, v.Members)
		require.Equal(t, owned, owners(v, "a"), "who has another incarnation's name touched its shards")
	}
	first.leave()
	second.renew(h.brief())
	first.isLost("its name is another one's")
	require.NoError(t, first.store.Leave(t.Context(), first.me))
	require.Equal(t, []int{1, 2}, numbers(second.take(1, 2)))
	second.renew(h.brief())
	h.lapse(h.brief())
	third := h.joined("a")
	second.isLost("its name is another one's")
	require.Equal(t, []lease.Member{third.me}, third.renew(aLong).Members)
	require.Empty(t, third.renew(aLong).Shards, "what its former life owned")
	second.leave()
	require.Equal(t, []lease.Member{third.me}, third.renew(aLong).Members, "a former life that leaves")
}

func nameRace(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	clients := []lease.Store{h.Leases(), h.Leases(), h.Leases()}
	for round := range inShort(5, 2) {
		name := fmt.Sprint("name ", round)
		errs := make([]error, 20)
		require.NoError(t, atOnce(len(errs), func(i int) error {
			m := h.tenantOf(clients[i%len(clients)], name)
			if _, errs[i] = m.store.Renew(t.Context(), m.me, aLong); errs[i] != nil && !errors.Is(errs[i], lease.ErrNameTaken) {
				return errs[i]
			}
			return nil
		}))
		joined := 0
		for _, err := range errs {
			if err == nil {
				joined++
			}
		}
		require.Equal(t, 1, joined, "so many members of one name have joined")
	}
}

func lost(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	other := h.joined("other")
	for _, leaves := range []bool{false, true} {
		a := h.tenant("a")
		a.isNoMember()
		a.renew(aLong)
		before := a.take(1, 2)
		require.Len(t, before, 2)
		a.renew(h.brief())
		if leaves {
			a.leave()
		} else {
			h.lapse(h.brief())
		}
		a.isLost("it has ended")
		require.Equal(t, []lease.Member{other.me}, other.renew(aLong).Members)
		require.Empty(t, other.renew(aLong).Shards, "a lost lease owns something")
		a.isLost("it has ended, and others have looked")
		after := other.take(1, 2)
		a.isLost("it has ended, and others own its shards")
		require.Equal(t, []int{1, 2}, numbers(after))
		for i, s := range before {
			require.Greater(t, after[i].Epoch, s.Epoch, "shard %d", s.Number)
		}
		a.give(before...)
		a.give(after...)
		require.Equal(t, after, other.renew(aLong).Shards)
		other.give(after...)
		a.isLost("it has ended, and its shards are free")
		require.Empty(t, other.renew(aLong).Shards)
		a.leave()
		a.isLost("it has ended twice")
		again := a.reborn()
		a.isLost("it has another life")
		again.leave()
		a.isLost("all its lives have ended")
	}
}

// isNoMember requires that it cannot own anything, before it has joined.
func (m *tenant) isNoMember() {
	m.h.t.Helper()
	_, err := m.store.Take(m.h.t.Context(), m.me, []int{1})
	require.ErrorIs(m.h.t, err, lease.ErrLost)
	m.give(lease.Shard{Number: 1, Owner: m.me.Name, Epoch: 1})
}

func lifetimes(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a, b := h.joined("a"), h.joined("b")
	for round := range 3 {
		a.renew(aLong)
		if round > 0 {
			a.renew(h.brief()) // shorter: it ends earlier
		}
		require.Len(t, a.take(1), 1)
		if round > 1 {
			a.renew(aLong) // longer: it goes on
			h.lapse(h.brief())
			require.Empty(t, b.take(1), "the lease was renewed for longer")
			require.Len(t, a.renew(aLong).Shards, 1)
		}
		asked := h.now()
		a.renew(h.brief())
		if h.Advance != nil {
			h.lapse(h.brief() - time.Minute)
			require.Empty(t, b.take(1), "the lease has a minute left")
			a.renew(h.brief())
			h.lapse(h.brief() - time.Minute)
			require.Len(t, owners(b.renew(aLong), "a"), 1, "the lease has a minute left")
			h.lapse(time.Minute)
			took := b.take(1)
			require.Len(t, took, 1, "its time has come, and nobody has looked yet")
			b.give(took...)
		} else {
			for len(b.take(1)) == 0 {
				require.Less(t, h.now()-asked, time.Minute, "the lease does not end")
			}
			require.GreaterOrEqual(t, h.now()-asked, h.brief(), "the lease has ended too early")
			b.give(of(b.renew(aLong), "b")...)
		}
		a.isLost("its time has come")
		took := b.take(1)
		require.Len(t, took, 1)
		b.give(took...)
		a = a.reborn()
	}
}

func taking(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a, b := h.joined("a"), h.joined("b")
	require.Empty(t, a.take())
	require.Equal(t, []int{2, 3, 4}, numbers(a.take(4, 2, 3, 2, 4)), "some were named twice")
	before := owners(a.renew(aLong), "a")
	require.Equal(t, []int{1, 5}, numbers(b.take(firstShards(6)[1:]...)), "the free ones, and no other")
	require.Empty(t, a.take(firstShards(6)[1:]...), "all are owned")
	require.Empty(t, a.take(2), "it is its own")
	v := b.renew(aLong)
	require.Equal(t, before, owners(v, "a"), "who was refused has changed something")
	require.Equal(t, []int{1, 2, 3, 4, 5}, numbers(v.Shards))
	require.Equal(t, []int{0, 6}, numbers(a.take(6, 5, 0)))
}

func giving(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a, b := h.joined("a"), h.joined("b")
	mine, theirs := a.take(1, 2, 3), b.take(4, 5)
	a.give()
	a.give(theirs...)
	other := mine[0]
	other.Epoch++
	a.give(other)
	other.Epoch -= 2
	a.give(other, lease.Shard{Number: 9, Owner: "a", Epoch: other.Epoch})
	require.Equal(t, slices.Concat(mine, theirs), a.renew(aLong).Shards, "what it does not own, or not with this epoch")
	for range 2 { // the second time they are not its own
		a.give(mine[2], theirs[0], mine[1], mine[2])
		require.Equal(t, slices.Concat(mine[:1], theirs), b.renew(aLong).Shards)
	}
	require.Equal(t, []int{2}, numbers(b.take(1, 2)), "what was given up is free at once")
	again := a.take(1, 2, 3)
	require.Equal(t, []int{3}, numbers(again))
	a.give(mine[1:]...) // once more, and late
	require.Equal(t, []int{1, 2, 3, 4, 5}, numbers(b.renew(aLong).Shards), "what was given up late was taken again since")
	require.Equal(t, again[0].Epoch, owners(a.renew(aLong), "a")[3])
}

func leavingAll(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a, b, never := h.joined("a"), h.joined("b"), h.tenant("never")
	a.take(1, 2)
	b.take(3)
	never.leave()
	for range 2 {
		a.leave()
		v := b.renew(aLong)
		require.Equal(t, []lease.Member{b.me}, v.Members)
		require.Equal(t, []int{3}, numbers(v.Shards))
	}
	require.Equal(t, []int{1, 2}, numbers(b.take(1, 2, 3)))
	a.leave()
	require.Len(t, b.renew(aLong).Shards, 3, "who has left twice took others' shards along")
	b.leave()
	v := h.joined("c").renew(aLong)
	require.Len(t, v.Members, 1)
	require.Empty(t, v.Shards)
}

func epochs(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	last := map[int]int64{}
	grows := func(m *tenant, why string) {
		t.Helper()
		took := m.take(1, 2)
		require.Len(t, took, 2, why)
		for _, s := range took {
			require.Greater(t, s.Epoch, last[s.Number], "shard %d: %s", s.Number, why)
			last[s.Number] = s.Epoch
		}
		require.Equal(t, epochsOf(took), owners(m.renew(aLong), m.me.Name))
	}
	a, b := h.joined("a"), h.joined("b")
	grows(a, "the first owner")
	a.give(of(a.renew(aLong), "a")...)
	grows(a, "it owned them before")
	a.give(of(a.renew(aLong), "a")...)
	grows(b, "another owner")
	b.leave()
	grows(a, "its owner has left")
	a.renew(h.brief())
	h.lapse(h.brief())
	b = h.joined("b")
	grows(b, "its owner's lease has ended")
	b.leave()
	c := h.joined("c")
	grows(c, "all had left")
	c.renew(h.brief())
	h.lapse(h.brief())
	grows(h.joined("c"), "all leases had ended")
}

func manyShards(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a, b := h.joined("a"), h.joined("b")
	all := rand.Perm(600)
	mine := a.take(all[:400]...)
	require.Equal(t, slices.Sorted(slices.Values(all[:400])), numbers(mine))
	require.Equal(t, slices.Sorted(slices.Values(all[400:])), numbers(b.take(all...)))
	v := a.renew(aLong)
	require.Len(t, owners(v, "a"), 400)
	require.Equal(t, firstShards(600), numbers(v.Shards))
	a.give(mine[100:]...)
	require.Len(t, b.renew(aLong).Shards, 300)
	require.Equal(t, numbers(mine[100:]), numbers(b.take(all...)))
}

func badLeases(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	a := h.joined("a")
	ctx := t.Context()
	for _, m := range []lease.Member{
		{Incarnation: "1"}, {Name: "b"}, {Name: "b\xff", Incarnation: "1"}, {Name: strings.Repeat("b", 513), Incarnation: "1"},
		{Name: "b\x00", Incarnation: "1"}, {Name: "b", Incarnation: strings.Repeat("1", 65)}, {Name: "b", Incarnation: "1", Address: strings.Repeat("b", 513)},
	} {
		_, err := a.store.Renew(ctx, m, aLong)
		require.ErrorIs(t, err, penstock.ErrInvalid, "%.20q", m)
		_, err = a.store.Take(ctx, m, nil)
		require.ErrorIs(t, err, penstock.ErrInvalid, "%.20q", m)
		require.ErrorIs(t, a.store.Give(ctx, m, nil), penstock.ErrInvalid, "%.20q", m)
		require.ErrorIs(t, a.store.Leave(ctx, m), penstock.ErrInvalid, "%.20q", m)
	}
	for _, ttl := range []time.Duration{-time.Second, 0, 1, 100*time.Millisecond - 1, time.Hour + 1} {
		_, err := a.store.Renew(ctx, a.me, ttl)
		require.ErrorIs(t, err, penstock.ErrInvalid, "%v", ttl)
	}
	for _, shards := range [][]int{{-1}, {65536}, {1, 2, -7, 3}} {
		_, err := a.store.Take(ctx, a.me, shards)
		require.ErrorIs(t, err, penstock.ErrInvalid, "%v", shards)
		err = a.store.Give(ctx, a.me, []lease.Shard{{Number: shards[0]}, {Number: shards[len(shards)/2]}})
		require.ErrorIs(t, err, penstock.ErrInvalid, "%v", shards)
	}
	_, err := a.store.Renew(ctx, lease.Member{Name: "\xff"}, -1)
	for _, what := range []string{"Name", "Incarnation", "-1ns"} {
		require.ErrorContains(t, err, what, "one error names everything that is bad")
	}
	require.Equal(t, lease.View{Members: []lease.Member{a.me}}, normal(a.renew(time.Hour)), "what was bad has changed something")
}

// normal is a view in which nothing is nil.
func normal(v lease.View) lease.View {
	return lease.View{Members: append([]lease.Member(nil), v.Members...), Shards: append([]lease.Shard(nil), v.Shards...)}
}

// endedContext has ended.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
