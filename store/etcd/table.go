package etcd

import (
	"cmp"
	"slices"

	"github.com/penstock-go/penstock/store/lease"
)

// table is who owns which shard: the value of one key, so that any number of shards change hands in one write. It is pure.
type table struct {
	Epoch  int64   `json:"epoch"` // the largest that was given out; no shard has had one beyond it
	Owners []owner `json:"owners,omitempty"`
}

// owner is a member that owns, or owned when it died. Nobody takes it out then: a life that has ended stays ended, so what it
// owned is free for whoever reads.
type owner struct {
	Name   string  `json:"name"`
	Life   int64   `json:"life"` // of the member, see member.life
	Grants []grant `json:"grants"`
}

// grant is what was taken at once, and is still owned.
type grant struct {
	Epoch  int64 `json:"epoch"`
	Shards []int `json:"shards"`
}

// bury takes out the owners that do not live.
func (t *table) bury(members map[string]member) {
	t.Owners = slices.DeleteFunc(t.Owners, func(o owner) bool {
		m, ok := members[o.Name]
		return !ok || m.life != o.Life
	})
}

// take gives an owner those of the shards that nobody in the table owns. Their epoch is larger than floor, too: with the store's
// revision as the floor, epochs go on where they were although somebody has deleted the table.
func (t *table) take(name string, life int64, shards []int, floor int64) []lease.Shard {
	owned := make(map[int]bool)
	for _, s := range t.shards() {
		owned[s.Number] = true
	}
	free := slices.Compact(slices.Sorted(slices.Values(shards)))
	free = slices.DeleteFunc(free, func(s int) bool { return owned[s] })
	if len(free) == 0 {
		return nil
	}
	t.Epoch = max(t.Epoch, floor) + 1
	o := t.owner(name, life)
	o.Grants = append(o.Grants, grant{Epoch: t.Epoch, Shards: free})
	taken := make([]lease.Shard, len(free))
	for i, s := range free {
		taken[i] = lease.Shard{Number: s, Owner: name, Epoch: t.Epoch}
	}
	return taken
}

// owner finds an owner, or makes one.
func (t *table) owner(name string, life int64) *owner {
	i := slices.IndexFunc(t.Owners, func(o owner) bool { return o.Name == name && o.Life == life })
	if i < 0 {
		i = len(t.Owners)
		t.Owners = append(t.Owners, owner{Name: name, Life: life})
	}
	return &t.Owners[i]
}

// give takes shards from an owner, if it owns them with these epochs, and reports whether it had any of them.
func (t *table) give(name string, life int64, shards []lease.Shard) (gave bool) {
	type key struct {
		shard int
		epoch int64
	}
	given := make(map[key]bool, len(shards))
	for _, s := range shards {
		given[key{s.Number, s.Epoch}] = true
	}
	o := t.owner(name, life)
	for i := range o.Grants {
		g := &o.Grants[i]
		n := len(g.Shards)
		g.Shards = slices.DeleteFunc(g.Shards, func(s int) bool { return given[key{s, g.Epoch}] })
		gave = gave || len(g.Shards) < n
	}
	o.Grants = slices.DeleteFunc(o.Grants, func(g grant) bool { return len(g.Shards) == 0 })
	t.Owners = slices.DeleteFunc(t.Owners, func(o owner) bool { return len(o.Grants) == 0 })
	return gave
}

// shards is all that is owned, by number.
func (t *table) shards() []lease.Shard {
	var all []lease.Shard
	for _, o := range t.Owners {
		for _, g := range o.Grants {
			for _, s := range g.Shards {
				all = append(all, lease.Shard{Number: s, Owner: o.Name, Epoch: g.Epoch})
			}
		}
	}
	slices.SortFunc(all, func(a, b lease.Shard) int { return cmp.Compare(a.Number, b.Number) })
	return all
}
