package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store/lease"
)

// LeasesBackend is a store of leases, and what the suite needs to do to it. Leases is required.
type LeasesBackend struct {
	// Leases makes another client of the same store, as another process would have. What it needs to be closed ends with the test.
	Leases func() lease.Store
	// Advance moves the store's clock on, beside the time that passes by itself. Default nil: the suite waits, and does not run its random
	// model
	Advance func(d time.Duration)
	// Cut makes the store unreachable for all clients until restore is called. Default nil: it is not tested
	Cut func() (restore func())
	// Late is how much later a lease may end than was asked for, for stores whose own leases are coarse. Default 0
	Late time.Duration
}

type leaseOpener = func(t testing.TB) LeasesBackend

// Leases proves a store of leases. Open is called for each test, and makes a LeasesBackend with an empty store.
func Leases(t *testing.T, open func(t testing.TB) LeasesBackend) {
	for _, c := range leaseCases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

var leaseCases = []struct {
	name string
	run  func(t testing.TB, open leaseOpener)
}{
	{"who joins is seen by all", joining},
	{"any name, any address", names},
	{"a name has one living member", nameTaken},
	{"a name that many want at once", nameRace},
	{"what has ended stays so", lost},
	{"a lease lives as long as was asked for, and no longer", lifetimes},
	{"free shards are taken, owned ones are not", taking},
	{"shards are given up", giving},
	{"who leaves frees everything", leavingAll},
	{"epochs only grow", epochs},
	{"many shards", manyShards},
	{"bad members, times and shards", badLeases},
	{"calls whose context has ended", endedCalls},
	{"contexts that end at any moment", endingCalls},
	{"a store that is away", away},
	{"one owner among many at once", takersAtOnce},
	{"renewals, ends and takings at once", leaseRace},
	{"any order of calls", leaseModel},
}

// aLong is a lease that does not end while a test runs, however slow the machine.
const aLong = 30 * time.Minute

// house is a LeasesBackend under test.
type house struct {
	LeasesBackend
	t        testing.TB
	start    time.Time
	lives    atomic.Int64
	advanced time.Duration
}

func newHouse(t testing.TB, open leaseOpener) *house {
	b := open(t)
	if b.Leases == nil {
		t.Fatal("storetest: LeasesBackend takes Leases")
	}
	return &house{LeasesBackend: b, t: t, start: time.Now()}
}

// now is the time by a member's own clock.
func (h *house) now() time.Duration { return time.Since(h.start) + h.advanced }

// lapse lets a time pass.
func (h *house) lapse(d time.Duration) {
	if h.Advance == nil {
		time.Sleep(d + h.Late)
		return
	}
	h.Advance(d)
	h.advanced += d
}

// brief is a lease that is to end: as short as can be if that must be waited for.
func (h *house) brief() time.Duration {
	if h.Advance == nil {
		return 300 * time.Millisecond
	}
	return 5 * time.Minute
}

// tenant is a member in one of its lives, and the client that it uses.
type tenant struct {
	h     *house
	store lease.Store
	me    lease.Member
}

// tenant makes one, with a client and an incarnation of its own. It has not joined.
func (h *house) tenant(name string) *tenant { return h.tenantOf(h.Leases(), name) }

func (h *house) tenantOf(client lease.Store, name string) *tenant {
	return &tenant{h, client, lease.Member{Name: name, Incarnation: fmt.Sprintf("life %d", h.lives.Add(1)), Address: name + ":7000"}}
}

// joined makes one that has joined for long.
func (h *house) joined(name string) *tenant {
	h.t.Helper()
	m := h.tenant(name)
	m.renew(aLong)
	return m
}

// reborn is the same member in a new life, which has joined.
func (m *tenant) reborn() *tenant {
	m.h.t.Helper()
	n := m.h.tenantOf(m.store, m.me.Name)
	n.renew(aLong)
	return n
}

func (m *tenant) renew(ttl time.Duration) lease.View {
	m.h.t.Helper()
	v, err := m.store.Renew(m.h.t.Context(), m.me, ttl)
	require.NoError(m.h.t, err)
	return v
}

// take takes shards and looks whether the answer makes sense.
func (m *tenant) take(shards ...int) []lease.Shard {
	m.h.t.Helper()
	took, err := m.store.Take(m.h.t.Context(), m.me, shards)
	require.NoError(m.h.t, err)
	for i, s := range took {
		require.Contains(m.h.t, shards, s.Number, "it was not asked for")
		require.Equal(m.h.t, m.me.Name, s.Owner)
		require.Positive(m.h.t, s.Epoch)
		require.True(m.h.t, i == 0 || took[i-1].Number < s.Number, "not by their numbers: %v", took)
	}
	return took
}

func (m *tenant) give(shards ...lease.Shard) {
	m.h.t.Helper()
	require.NoError(m.h.t, m.store.Give(m.h.t.Context(), m.me, shards))
}

func (m *tenant) leave() {
	m.h.t.Helper()
	require.NoError(m.h.t, m.store.Leave(m.h.t.Context(), m.me))
}

// isLost requires that the lease has ended.
func (m *tenant) isLost(why string) {
	m.h.t.Helper()
	ctx := m.h.t.Context()
	_, err := m.store.Renew(ctx, m.me, aLong)
	require.ErrorIs(m.h.t, err, lease.ErrLost, why)
	_, err = m.store.Take(ctx, m.me, []int{0, 1, 2, 3})
	require.ErrorIs(m.h.t, err, lease.ErrLost, why)
}

// inShort is how often something is done: less in the short suite.
func inShort(most, short int) int {
	if testing.Short() {
		return short
	}
	return most
}

// numbers are those of shards.
func numbers(shards []lease.Shard) []int {
	list := make([]int, 0, len(shards))
	for _, s := range shards {
		list = append(list, s.Number)
	}
	return list
}

// owners are the epochs of an owner's shards in a view.
func owners(v lease.View, name string) map[int]int64 { return epochsOf(of(v, name)) }

// of are an owner's shards in a view.
func of(v lease.View, name string) (list []lease.Shard) {
	for _, s := range v.Shards {
		if s.Owner == name {
			list = append(list, s)
		}
	}
	return list
}

// epochsOf are shards' epochs by their numbers.
func epochsOf(shards []lease.Shard) map[int]int64 {
	all := make(map[int]int64)
	for _, s := range shards {
		all[s.Number] = s.Epoch
	}
	return all
}

// firstShards are n shards, from 0.
func firstShards(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// within gives a context that ends after d.
func (h *house) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(h.t.Context(), d)
	h.t.Cleanup(cancel)
	return ctx
}
