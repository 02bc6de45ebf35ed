package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/store/lease"
)

const (
	modelSteps  = 14 // of 4 minutes at most, so that no run takes more than an hour
	modelShards = 5
)

// leaseModel makes calls at random and compares every answer with what the most naive store would say. Times are minutes, so that
// what the calls take does not count.
func leaseModel(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	if h.Advance == nil {
		return
	}
	clients := []lease.Store{h.Leases(), h.Leases()}
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++ // each has names and shards of its own, so that the store need not be new
		m := &leaseWorld{
			r: r, h: h, first: run * modelShards % 65000, prefix: fmt.Sprintf("run %d, ", run),
			lives: make(map[string]*life), epochs: make(map[int]int64),
		}
		for i := range 6 { // two lives for each of three names
			m.tenants = append(m.tenants, h.tenantOf(clients[i%2], m.prefix+string(rune('a'+i%3))))
		}
		for range rapid.IntRange(1, modelSteps).Draw(r, "steps") {
			m.step()
		}
		for _, a := range m.tenants {
			require.NoError(r, a.store.Leave(t.Context(), a.me))
		}
	})
}

// leaseWorld is the most naive store of leases, beside one that is to be proved.
type leaseWorld struct {
	r       *rapid.T
	h       *house
	prefix  string // of its names
	first   int    // of its shards
	tenants []*tenant
	now     time.Duration
	lives   map[string]*life // by incarnation: those that have joined or left
	epochs  map[int]int64    // of shards, ever
}

// life is a lease.
type life struct {
	me    lease.Member
	until time.Duration
	owns  map[int]int64
}

func (m *leaseWorld) alive(l *life) bool { return l != nil && m.now < l.until }

// living are the leases that live, by their names.
func (m *leaseWorld) living() []*life {
	var list []*life
	for _, l := range m.lives {
		if m.alive(l) {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *life) int { return cmp.Compare(a.me.Name, b.me.Name) })
	return list
}

func (m *leaseWorld) step() {
	a := rapid.SampledFrom(m.tenants).Draw(m.r, "member")
	shards := rapid.SliceOfN(rapid.IntRange(m.first, m.first+modelShards-1), 0, modelShards)
	switch rapid.SampledFrom([]string{"advance", "renew", "renew", "renew", "take", "take", "take", "give", "leave"}).Draw(m.r, "step") {
	case "advance":
		d := rapid.IntRange(1, 4).Draw(m.r, "minutes")
		m.h.lapse(time.Duration(d) * time.Minute)
		m.now += time.Duration(d) * time.Minute
	case "renew":
		m.renew(a, time.Duration(rapid.SampledFrom([]int{2, 5, 10}).Draw(m.r, "lease"))*time.Minute)
	case "take":
		m.take(a, shards.Draw(m.r, "take"))
	case "give":
		m.give(a, shards.Draw(m.r, "give"))
	case "leave": // who has not joined may join later, or not
		if l := m.lives[a.me.Incarnation]; l != nil {
			require.NoError(m.r, a.store.Leave(m.h.t.Context(), a.me))
			l.until = 0
		}
	}
}

// give gives up shards with the epochs that they, whoever owns them, had last or before.
func (m *leaseWorld) give(a *tenant, numbers []int) {
	var shards []lease.Shard
	for _, n := range numbers {
		late := rapid.SampledFrom([]int64{0, 0, 1}).Draw(m.r, "late")
		shards = append(shards, lease.Shard{Number: n, Owner: a.me.Name, Epoch: m.epochs[n] - late})
	}
	require.NoError(m.r, a.store.Give(m.h.t.Context(), a.me, shards))
	if l := m.lives[a.me.Incarnation]; m.alive(l) {
		for _, s := range shards {
			if l.owns[s.Number] == s.Epoch {
				delete(l.owns, s.Number)
			}
		}
	}
}

func (m *leaseWorld) renew(a *tenant, ttl time.Duration) {
	l := m.lives[a.me.Incarnation]
	v, err := a.store.Renew(m.h.t.Context(), a.me, ttl)
	switch {
	case l != nil && !m.alive(l):
		require.ErrorIs(m.r, err, lease.ErrLost)
		return
	case l == nil && slices.ContainsFunc(m.living(), func(other *life) bool { return other.me.Name == a.me.Name }):
		require.ErrorIs(m.r, err, lease.ErrNameTaken)
		return
	case l == nil:
		l = &life{me: a.me, owns: make(map[int]int64)}
		m.lives[a.me.Incarnation] = l
	}
	require.NoError(m.r, err)
	l.until = m.now + ttl
	var want lease.View
	for _, l := range m.living() {
		want.Members = append(want.Members, l.me)
		for shard, epoch := range l.owns {
			want.Shards = append(want.Shards, lease.Shard{Number: shard, Owner: l.me.Name, Epoch: epoch})
		}
	}
	slices.SortFunc(want.Shards, func(a, b lease.Shard) int { return a.Number - b.Number })
	require.Equal(m.r, want, normal(v))
}

func (m *leaseWorld) take(a *tenant, shards []int) {
	l := m.lives[a.me.Incarnation]
	took, err := a.store.Take(m.h.t.Context(), a.me, shards)
	if !m.alive(l) {
		require.ErrorIs(m.r, err, lease.ErrLost)
		return
	}
	require.NoError(m.r, err)
	owned := make(map[int]bool)
	for _, l := range m.living() {
		for shard := range l.owns {
			owned[shard] = true
		}
	}
	want := slices.DeleteFunc(slices.Sorted(slices.Values(shards)), func(shard int) bool { return owned[shard] })
	want = append([]int{}, slices.Compact(want)...)
	require.Equal(m.r, want, numbers(took))
	for _, s := range took {
		require.Equal(m.r, a.me.Name, s.Owner)
		require.Greater(m.r, s.Epoch, m.epochs[s.Number], "shard %d", s.Number)
		m.epochs[s.Number], l.owns[s.Number] = s.Epoch, s.Epoch
	}
}
