package cluster

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/store/lease"
)

// settle has every member do what the plan says until nobody has anything to do, and returns how many shards have moved.
func settle(t require.TestingT, b *book, shards int) (moved int) {
	for round := 0; ; round++ {
		require.Less(t, round, 10, "it does not come to rest")
		busy := false
		for _, m := range b.view().Members {
			take, give := plan(b.view(), m.Name, shards)
			busy = busy || len(take)+len(give) > 0
			b.give(0, m, give)
			taken, err := b.take(0, m, take)
			require.NoError(t, err)
			require.Len(t, taken, len(take), "nodes that see the same do not want the same")
			moved += len(taken)
		}
		if !busy {
			return moved
		}
	}
}

func TestG11_EveryoneOwnsAsManyAndNothingMovesInVain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.SampledFrom([]int{1, 2, 7, 256}).Draw(t, "shards")
		b := newBook()
		next := 0
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			before := b.view()
			owns := make(map[string]int)
			for _, s := range before.Shards {
				owns[s.Owner]++
			}
			must := 0 // shards that have to move: those nobody owns
			if n := len(before.Members); n > 0 && rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				gone := before.Members[rapid.IntRange(0, n-1).Draw(t, "who")]
				b.leave(0, gone)
				must = owns[gone.Name]
				if n == 1 {
					must = 0
				}
			} else {
				next++
				name := fmt.Sprint("node-", rapid.IntRange(0, 99).Draw(t, "name"), "-", next)
				_, err := b.renew(0, lease.Member{Name: name, Incarnation: name}, 1)
				require.NoError(t, err)
				must = shards / (n + 1) // what the new one is to own
				if n == 0 {
					must = shards
				}
			}
			moved := settle(t, b, shards)
			v := b.view()
			if len(v.Members) == 0 {
				continue
			}
			require.Len(t, v.Shards, shards)
			require.Equal(t, must, moved)
			owns = make(map[string]int)
			for _, s := range v.Shards {
				owns[s.Owner]++
			}
			for _, m := range v.Members {
				require.GreaterOrEqual(t, owns[m.Name], shards/len(v.Members))
				require.LessOrEqual(t, owns[m.Name], (shards+len(v.Members)-1)/len(v.Members))
			}
		}
	})
}

func TestAPlanOfSomebodyWhoIsNotThere(t *testing.T) {
	take, give := plan(lease.View{}, "a", 256)
	require.Empty(t, take)
	require.Empty(t, give)
	v := lease.View{Members: []lease.Member{{Name: "a"}}, Shards: []lease.Shard{{Number: 9999, Owner: "a"}, {Number: 1, Owner: "nobody"}}}
	take, give = plan(v, "a", 3)
	require.Equal(t, []int{0, 1, 2}, take, "what is none of the cluster's, or nobody's, is free or ignored")
	require.Empty(t, give)
}

// TestNodesOfAllVersionsAgree on where an ID is: the figures must never change.
func TestNodesOfAllVersionsAgree(t *testing.T) {
	n := &Node{cfg: Config{Shards: 256}}
	got := make(map[string]int)
	for _, id := range []string{"", "a", "user-17", "grüß dich", "\x00\xff"} {
		got[id] = n.Shard(id)
	}
	require.Equal(t, map[string]int{"": 155, "a": 248, "user-17": 103, "grüß dich": 145, "\x00\xff": 123}, got)
	spread := make([]int, 256)
	for i := range 256_000 {
		spread[n.Shard(fmt.Sprint("user-", i))]++
	}
	for _, k := range spread {
		require.InDelta(t, 1000, k, 200)
	}
}
