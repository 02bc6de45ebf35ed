package limit

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve pushes one item a letter, of this cost, and returns the order in which they go.
func serve(letters string, weights map[rune]int, costs map[rune]int) (order string) {
	var q Fair[*diner]
	for i, flow := range letters {
		x := &diner{p: Position{Flow: string(flow), Weight: weights[flow], Cost: costs[flow], Seq: uint64(i)}}
		q.Push(x, x.p)
	}
	for x, ok := q.Pop(); ok; x, ok = q.Pop() {
		order += x.p.Flow
	}
	return order
}

func TestFairOrder(t *testing.T) {
	for _, tc := range []struct {
		name           string
		pushed, order  string
		weights, costs map[rune]int
	}{
		{name: "one flow", pushed: "aaa", order: "aaa"},
		{name: "equal flows take turns", pushed: "aaaabbc", order: "abcabaa"},
		{name: "by weight", pushed: "aaaaaabbb", order: "aabaabaab", weights: map[rune]int{'a': 2}},
		{name: "by cost", pushed: "aaabbbbbb", order: "abbabbabb", costs: map[rune]int{'a': 2}},
		{name: "equal and costly", pushed: "aaabbb", order: "ababab", costs: map[rune]int{'a': 5000, 'b': 5000}},
		{name: "weight makes up for cost", pushed: "aaabbb", order: "ababab", weights: map[rune]int{'a': 9}, costs: map[rune]int{'a': 9}},
		{name: "less counts as 1", pushed: "aaabb", order: "ababa", weights: map[rune]int{'a': -7}, costs: map[rune]int{'b': -1 << 63}},
		{name: "more counts as the most", pushed: "ab", order: "ab", weights: map[rune]int{'a': 1<<63 - 1}, costs: map[rune]int{'b': 1<<63 - 1}},
		{name: "one that costs much holds nobody up", pushed: "baabbbbbbb", order: "bbbbbbbbaa", costs: map[rune]int{'a': 1 << 31}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.order, serve(tc.pushed, tc.weights, tc.costs))
		})
	}
}

func TestFairRanksGoFirst(t *testing.T) {
	var q Fair[*diner]
	var seq uint64
	for _, rank := range []int64{0, 5, -1 << 63, 1<<63 - 1, 0, -3} {
		seq++
		x := &diner{p: Position{Rank: rank, Seq: seq}}
		q.Push(x, x.p)
	}
	assert.Equal(t, 5, q.Flows(), "a rank and a name make a flow")
	var order []uint64
	for x, ok := q.Pop(); ok; x, ok = q.Pop() {
		order = append(order, x.p.Seq)
	}
	assert.Equal(t, []uint64{3, 6, 1, 5, 2, 4}, order)
}

// What one flow's costly item was to get goes when the item goes: who has come
// meanwhile must not wait until cheap ones have used it up, nor get less for long.
func TestFairCreditForWhatGaveUp(t *testing.T) {
	for _, newest := range []bool{false, true} {
		t.Run(fmt.Sprint("newest first: ", newest), func(t *testing.T) {
			var q Fair[*diner]
			q.NewestFirst(newest)
			var seq uint64
			push := func(flow string, cost int) *diner {
				seq++
				x := &diner{p: Position{Flow: flow, Cost: cost, Seq: seq}}
				q.Push(x, x.p)
				return x
			}
			costly := push("a", 1_000_000)
			for range 1000 {
				push("a", 1)
			}
			for range 500 {
				push("b", 1)
			}
			require.True(t, q.Remove(costly))
			order := ""
			for range 200 {
				x, _ := q.Pop()
				order += x.p.Flow
			}
			assert.LessOrEqual(t, strings.Index(order, "b"), 2)
			assert.InDelta(t, 100, strings.Count(order, "b"), 5)
		})
	}
}

func TestFairKnowsItsOwn(t *testing.T) {
	var a, b Fair[*diner]
	g, h := new(diner), new(diner)
	a.Push(g, Position{})
	b.Push(h, Position{})
	assert.False(t, b.Remove(g), "waits elsewhere")
	assert.Panics(t, func() { b.Push(g, Position{}) }, "waits already")
	assert.True(t, a.Remove(g))
	b.Push(g, Position{Rank: -1, Seq: 1})
	got, ok := b.Pop()
	assert.True(t, ok && got == g)
	for range a.All() {
		t.Fatal("a is empty")
	}
	for range b.All() {
		break
	}
	_, ok = a.Pop()
	assert.False(t, ok)
	_, ok = a.Oldest()
	assert.False(t, ok)
}

func TestG5_FairGivesMemoryBackAfterAFlood(t *testing.T) {
	var q Fair[*diner]
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 40_000 {
		q.Push(new(diner), Position{Rank: int64(i % 100), Flow: fmt.Sprint(i), Seq: uint64(i)})
	}
	flood := heap()
	for q.Len() > 1 {
		q.Pop()
	}
	after := heap()
	assert.Greater(t, flood-before, uint64(5<<20))
	assert.Less(t, int64(after-before), int64(256<<10), "bytes kept")
	assert.LessOrEqual(t, q.spares.n, spareFlows)
	assert.LessOrEqual(t, len(q.spares.ranks), spareRanks)
	assert.LessOrEqual(t, cap(q.ranks), spareRanks)
	runtime.KeepAlive(&q)
}

func TestFairAllocatesNothing(t *testing.T) {
	var q Fair[*diner]
	var free []*diner
	for range 400 {
		free = append(free, new(diner))
	}
	names := []string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	var seq uint64
	push := func() {
		x := free[len(free)-1]
		free = free[:len(free)-1]
		seq++
		q.Push(x, Position{Rank: int64(seq % 5), Flow: names[seq%11], Cost: int(seq % 997), Seq: seq})
	}
	swing := func() { // from empty to 300 and back
		for range 300 {
			push()
		}
		for x, ok := q.Pop(); ok; x, ok = q.Pop() {
			free = append(free, x)
		}
	}
	for range 50 {
		swing()
	}
	assert.Zero(t, testing.AllocsPerRun(50, swing))
}
