package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store/internal/tenure"
	"github.com/penstock-go/penstock/store/lease"
)

// takersAtOnce has many members take all shards at the same time, through several clients, and give them up again.
func takersAtOnce(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	clients := []lease.Store{h.Leases(), h.Leases(), h.Leases(), h.Leases()}
	members := make([]*tenant, 8)
	for i := range members {
		members[i] = h.tenantOf(clients[i%len(clients)], fmt.Sprint("member ", i))
		members[i].renew(aLong)
	}
	const shards = 64
	takers := inShort(200, 60)
	last := make(map[int]int64)
	for range 3 {
		took := make([][]lease.Shard, takers)
		require.NoError(t, atOnce(takers, func(i int) (err error) {
			m := members[i%len(members)]
			took[i], err = m.store.Take(t.Context(), m.me, rand.Perm(shards)[:1+rand.IntN(shards)])
			return err
		}))
		owned := make(map[int]lease.Shard)
		for _, s := range slices.Concat(took...) {
			other, twice := owned[s.Number]
			require.False(t, twice, "%+v and %+v", s, other)
			require.Greater(t, s.Epoch, last[s.Number], "shard %d", s.Number)
			owned[s.Number] = s
			last[s.Number] = s.Epoch
		}
		require.Len(t, owned, shards, "some shards were taken by nobody")
		for _, s := range members[0].renew(aLong).Shards {
			require.Equal(t, owned[s.Number], s)
		}
		all := members[0].renew(aLong).Shards
		require.NoError(t, atOnce(len(members), func(i int) error {
			m := members[i]
			return m.store.Give(t.Context(), m.me, all) // of which it owns some
		}))
		require.Empty(t, members[0].renew(aLong).Shards)
	}
}

// leaseRace has members renew their leases when these have just ended, or not quite, while others wait for their shards. By the
// members' own clocks no two of them ever own one.
func leaseRace(t testing.TB, open leaseOpener) {
	h := newHouse(t, open)
	moves := inShort(300, 80)
	clients := []lease.Store{h.Leases(), h.Leases(), h.Leases()}
	var record tenure.Record
	deadline := time.Now().Add(2 * time.Minute)
	err := atOnce(6, func(i int) error {
		r := &racer{h: h, client: clients[i%len(clients)], name: fmt.Sprint("racer ", i), record: &record}
		for record.Len() < moves && time.Now().Before(deadline) {
			if err := r.live(); err != nil && !certain(err) {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, tenure.Overlaps(record.List()))
	require.GreaterOrEqual(t, record.Len(), moves, "shards do not move to other owners")
}

// raceShards are how many the racers want to own.
const raceShards = 8

// racer is a member that lives on the edge of its lease.
type racer struct {
	h      *house
	client lease.Store
	name   string
	record *tenure.Record

	me    *tenant // in this life
	until time.Duration
	owns  map[int]*tenure.Tenure
}

// live is one life: it joins, takes what it can get, renews its lease in time, and then once when that may have ended.
func (r *racer) live() error {
	r.me = r.h.tenantOf(r.client, r.name)
	r.owns = make(map[int]*tenure.Tenure)
	ttl := 100*time.Millisecond + rand.N(100*time.Millisecond)
	for range 1 + rand.IntN(4) {
		if err := r.renew(ttl); err != nil {
			time.Sleep(rand.N(ttl / 8)) // its former life has the name
			return err
		}
		if err := r.take(); err != nil {
			return err
		}
		if rand.IntN(8) == 0 {
			if err := r.me.store.Give(r.h.t.Context(), r.me.me, r.end()); err != nil {
				return err
			}
		}
		time.Sleep(rand.N(ttl / 4))
	}
	if rand.IntN(8) == 0 {
		r.end()
		return r.me.store.Leave(r.h.t.Context(), r.me.me)
	}
	time.Sleep(r.until - r.h.now() - ttl/20 + rand.N(ttl/10))
	err := r.renew(ttl) // others may be taking what it owns at this moment
	time.Sleep(rand.N(ttl / 20))
	return errors.Join(err, r.take())
}

// renew renews the lease: what is owned is owned for longer.
func (r *racer) renew(ttl time.Duration) error {
	called := r.h.now()
	v, err := r.me.store.Renew(r.h.t.Context(), r.me.me, ttl)
	if err != nil {
		return err
	}
	owned := owners(v, r.name)
	for shard, t := range r.owns {
		if owned[shard] != t.Epoch {
			return fmt.Errorf("%s: its lease lives, and shard %d with epoch %d is no longer its own", r.name, shard, t.Epoch)
		}
	}
	r.until = called + ttl
	r.record.Until(r.owns, r.until)
	return nil
}

func (r *racer) take() error {
	took, err := r.me.store.Take(r.h.t.Context(), r.me.me, firstShards(raceShards))
	returned := r.h.now()
	for _, s := range took {
		r.owns[s.Number] = r.record.Add(tenure.Tenure{Shard: s.Number, Epoch: s.Epoch, Owner: s.Owner, From: returned, Until: r.until})
	}
	return err
}

// end ends its ownership now, by its own will, and returns what it was of.
func (r *racer) end() (owned []lease.Shard) {
	r.record.Until(r.owns, min(r.h.now(), r.until)) // on a slow machine the lease may have ended before
	for shard, t := range r.owns {
		owned = append(owned, lease.Shard{Number: shard, Owner: r.name, Epoch: t.Epoch})
	}
	clear(r.owns)
	return owned
}
