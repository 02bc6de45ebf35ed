package cluster

import (
	"cmp"
	"slices"
	"strings"

	"github.com/penstock-go/penstock/store/lease"
)

// plan says which shards a member should take and which it should give up, so that all members own as many, give or take one. It
// is computed from what there is, by every node alike, so nobody has to decide for others; what two nodes see differently for a
// moment costs a refused Take, and nothing else. No shard moves that need not.
func plan(v lease.View, me string, shards int) (take []int, give []lease.Shard) {
	quota := quotas(v, shards)
	owned := make([][]lease.Shard, len(v.Members))
	free := make([]bool, shards)
	for i := range free {
		free[i] = true
	}
	for _, s := range v.Shards {
		if at := indexOf(v.Members, s.Owner); at >= 0 && s.Number < shards {
			owned[at] = append(owned[at], s)
			free[s.Number] = false
		}
	}
	at := indexOf(v.Members, me)
	if at < 0 {
		return nil, nil
	}
	room := make([]int, len(v.Members))
	for i := range room {
		room[i] = quota[i] - len(owned[i])
	}
	for shard, is := range free {
		if !is {
			continue
		}
		best, most := -1, uint64(0)
		for i, m := range v.Members {
			if p := preference(m.Name, shard); room[i] > 0 && (best < 0 || p > most) {
				best, most = i, p
			}
		}
		if best < 0 {
			break // more is owned than should be, by others, who will give it up
		}
		room[best]--
		if best == at {
			take = append(take, shard)
		}
	}
	if excess := len(owned[at]) - quota[at]; excess > 0 {
		slices.SortFunc(owned[at], func(a, b lease.Shard) int { return cmp.Compare(preference(me, a.Number), preference(me, b.Number)) })
		give = owned[at][:excess]
	}
	return take, give
}

// quotas is how many shards each member should own. Those that own more than others already get the odd ones.
func quotas(v lease.View, shards int) []int {
	n := len(v.Members)
	if n == 0 {
		return nil
	}
	owns := make(map[string]int, n)
	for _, s := range v.Shards {
		owns[s.Owner]++
	}
	order := make([]int, n)
	quota := make([]int, n)
	for i := range order {
		order[i], quota[i] = i, shards/n
	}
	slices.SortStableFunc(order, func(a, b int) int { return owns[v.Members[b].Name] - owns[v.Members[a].Name] })
	for _, i := range order[:shards%n] {
		quota[i]++
	}
	return quota
}

// indexOf finds a member in a view's list, which is in the order of names.
func indexOf(members []lease.Member, name string) int {
	i, found := slices.BinarySearchFunc(members, name, func(m lease.Member, name string) int { return strings.Compare(m.Name, name) })
	if !found {
		return -1
	}
	return i
}

// preference is how much a member should have a shard rather than another one: a number drawn from both names.
func preference(member string, shard int) uint64 {
	return mix(hash(member) + uint64(shard)*0x9e3779b97f4a7c15)
}

// hash is FNV-1a, and then mixed: the same on every machine and in every version, for nodes must agree on it.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix spreads every bit over all others, as SplitMix64 ends.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
