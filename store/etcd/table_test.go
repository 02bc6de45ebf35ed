package etcd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/store/lease"
)

// TestG11_Table compares a table with a map, through random takings, givings and deaths, each after it was written and read.
func TestG11_Table(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const shards = 6
		var tb table
		members := make(map[string]member)
		for i := range 3 {
			members[fmt.Sprint(i)] = member{life: int64(i + 1)}
		}
		owned := make(map[int]lease.Shard)
		last := make(map[int]int64)
		lives := int64(len(members))
		numbers := rapid.SliceOfN(rapid.IntRange(0, shards-1), 0, shards)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			name := fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "member"))
			life := members[name].life
			switch rapid.SampledFrom([]string{"take", "take", "give", "die"}).Draw(t, "step") {
			case "take":
				floor := rapid.Int64Range(0, 20).Draw(t, "floor")
				list := numbers.Draw(t, "take")
				var want []int
				for n := range shards {
					if _, ok := owned[n]; !ok && slices.Contains(list, n) {
						want = append(want, n)
					}
				}
				var got []int
				for _, s := range tb.take(name, life, list, floor) {
					require.Equal(t, name, s.Owner)
					require.Greater(t, s.Epoch, max(last[s.Number], floor))
					got = append(got, s.Number)
					owned[s.Number], last[s.Number] = s, s.Epoch
				}
				require.Equal(t, want, got)
			case "give":
				var list []lease.Shard
				gives := false
				for _, n := range numbers.Draw(t, "give") {
					s := lease.Shard{Number: n, Owner: name, Epoch: last[n] - rapid.SampledFrom([]int64{0, 0, 1}).Draw(t, "late")}
					list = append(list, s)
					if owned[n] == s && s.Epoch > 0 {
						delete(owned, n)
						gives = true
					}
				}
				require.Equal(t, gives, tb.give(name, life, list))
			case "die":
				lives++
				members[name] = member{life: lives}
				maps.DeleteFunc(owned, func(_ int, s lease.Shard) bool { return s.Owner == name })
				tb.bury(members)
			}
			text := encode(tb)
			tb = table{}
			require.NoError(t, json.Unmarshal([]byte(text), &tb))
			want := slices.SortedFunc(maps.Values(owned), func(a, b lease.Shard) int { return a.Number - b.Number })
			require.Equal(t, want, tb.shards())
		}
	})
}

// TestATableFitsIntoAValue fills one: etcd takes 1.5 MiB at once.
func TestATableFitsIntoAValue(t *testing.T) {
	var tb table
	for n := range 1 << 16 {
		tb.owner(fmt.Sprint("member ", n%100), 1<<40).Grants = []grant{}
	}
	for i := range tb.Owners {
		o := &tb.Owners[i]
		for n := i; n < 1<<16; n += len(tb.Owners) {
			if n/100%20 == 0 { // each has taken twenty or so at once
				o.Grants = append(o.Grants, grant{Epoch: 1<<40 + int64(n)})
			}
			if len(o.Grants) > 0 {
				g := &o.Grants[len(o.Grants)-1]
				g.Shards = append(g.Shards, n)
			}
		}
	}
	require.Greater(t, len(tb.shards()), 65000)
	require.Less(t, len(encode(tb)), 1<<20)
}
