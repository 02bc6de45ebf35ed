package limit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// eater is a flow that always has as many items waiting as backlog says, each of cost 1 to most.
type eater struct {
	weight, backlog, most int
}

// integrate serves so many out of a line, and returns how far each eater's share
// of what they cost is from what its weight says, as a part of that.
func integrate(eaters []eater, pops int, push func(*diner), pop func() *diner) []float64 {
	rng := rand.New(rand.NewPCG(7, 17))
	var seq uint64
	order := func(flow int) {
		seq++
		e := eaters[flow]
		push(&diner{p: Position{Flow: strconv.Itoa(flow), Weight: e.weight, Cost: 1 + rng.IntN(e.most), Seq: seq}})
	}
	weights := 0
	for flow, e := range eaters {
		weights += max(e.weight, 1)
		for range e.backlog {
			order(flow)
		}
	}
	eaten, sum := make([]float64, len(eaters)), 0.0
	for range pops {
		x := pop()
		flow, _ := strconv.Atoi(x.p.Flow)
		eaten[flow] += float64(x.p.Cost)
		sum += float64(x.p.Cost)
		order(flow)
	}
	for flow, e := range eaters {
		share := float64(max(e.weight, 1)) / float64(weights)
		eaten[flow] = math.Abs(eaten[flow]/sum/share - 1)
	}
	return eaten
}

func TestG7_FlowsShareByWeight(t *testing.T) {
	for _, tc := range []struct {
		name   string
		eaters []eater
	}{
		{"equal flows, costs and backlogs that differ", []eater{{1, 2, 3}, {1, 1000, 3}, {1, 30, 1000}, {1, 5, 5000}}},
		{"weights", []eater{{1, 3, 40}, {2, 500, 40}, {5, 10, 40}}},
		{"weights and costs", []eater{{1, 10, 2}, {3, 2, 5000}, {10, 4, 100}, {2, 400, 1}}},
		{"weights in the thousands", []eater{{1000, 10, 2}, {3000, 10, 500}, {9999, 10, 10}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const pops = 50_000
			var q Fair[*diner]
			off := integrate(tc.eaters, pops,
				func(x *diner) { q.Push(x, x.p) },
				func() *diner { x, _ := q.Pop(); return x })
			assert.LessOrEqual(t, slices.Max(off), 0.05, off)

			// The control: in order of arrival, the same flows do not share like that.
			var fifo []*diner
			off = integrate(tc.eaters, pops,
				func(x *diner) { fifo = append(fifo, x) },
				func() *diner { x := fifo[0]; fifo = fifo[1:]; return x })
			assert.Greater(t, slices.Max(off), 0.05, "the measurement tells nothing apart: %v", off)
		})
	}
}

// While two flows always have something waiting, neither gets ahead of the
// other, in cost by weight, by more than what a round gives and what the head of each costs.
func TestG7_NoFlowGetsAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Fair[*diner]
		var seq uint64
		eaters := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) eater {
			return eater{weight: rapid.IntRange(1, 9).Draw(t, "weight"), backlog: 2, most: rapid.SampledFrom([]int{1, 5, 300}).Draw(t, "most")}
		}), 2, 6).Draw(t, "eaters")
		costs := rapid.SliceOfN(rapid.IntRange(0, 299), 7, 7).Draw(t, "costs")
		order := func(flow int) {
			e := eaters[flow]
			seq++
			x := &diner{p: Position{Flow: strconv.Itoa(flow), Weight: e.weight, Cost: 1 + costs[seq%7]%e.most, Seq: seq}}
			q.Push(x, x.p)
		}
		for flow, e := range eaters {
			for range e.backlog {
				order(flow)
			}
		}
		eaten := make([]float64, len(eaters)) // by weight
		var round int64                       // the most that a round gave
		for i := range 300 {
			if i == 50 { // all have had turns
				clear(eaten)
				round = 0
			}
			round = max(round, q.ranks[0].credit)
			x, _ := q.Pop()
			flow, _ := strconv.Atoi(x.p.Flow)
			eaten[flow] += float64(x.p.Cost) / float64(x.p.Weight)
			order(flow)
			if ahead := slices.Max(eaten) - slices.Min(eaten); i >= 50 && ahead > float64(round+2*300) {
				t.Fatalf("ahead by %v, a round gives %d: %v", ahead, round, eaten)
			}
		}
	})
}

func TestG7_AFlowOfOneIsNotDelayed(t *testing.T) {
	for _, weight := range []int{1, 3} {
		var q Fair[*diner]
		for i := range 10_000 {
			q.Push(new(diner), Position{Flow: "crowd", Weight: weight, Seq: uint64(i)})
		}
		for range 100 {
			q.Pop()
			one := new(diner)
			q.Push(one, Position{Flow: "one", Seq: 10_000})
			before := 0
			for x, _ := q.Pop(); x != one; x, _ = q.Pop() {
				before++
			}
			require.LessOrEqual(t, before, weight, "a turn of the crowd")
		}
	}
}

// However many new flows come, each with one item, a flow that waits has its
// turn as soon as those that were there before have had theirs.
func TestG7_EndlessNewFlowsStarveNobody(t *testing.T) {
	var q Fair[*diner]
	seq := uint64(0)
	push := func(flow string) {
		seq++
		x := &diner{p: Position{Flow: flow, Seq: seq}}
		q.Push(x, x.p)
	}
	for i := range 50 {
		push(fmt.Sprint("early ", i))
	}
	for range 100 {
		push("patient")
	}
	served, by := 0, q.Flows()
	for pops := range 20_000 {
		push(fmt.Sprint("new ", seq)) // they come twice as fast as anybody is served
		push(fmt.Sprint("new ", seq))
		x, _ := q.Pop()
		require.Less(t, pops, by)
		if x.p.Flow == "patient" {
			served++
			by = pops + 1 + q.Flows()
		}
	}
	assert.Greater(t, served, 5)
}

// Few flows are passed over for each item that goes, whatever the costs and
// weights: that is what makes Pop O(1).
func TestFairPassesFewFlowsOver(t *testing.T) {
	for _, tc := range []struct {
		name         string
		most         float64 // turns for each item that goes
		weight, cost func(rng *rand.Rand) int
	}{
		{"cost 1", 1.1, func(*rand.Rand) int { return 1 }, func(*rand.Rand) int { return 1 }},
		{"costs in the thousands", 3, func(*rand.Rand) int { return 1 }, func(rng *rand.Rand) int { return 1000 + rng.IntN(9000) }},
		{"of many sizes", 10, func(rng *rand.Rand) int { return 1 << rng.IntN(4) }, func(rng *rand.Rand) int { return 1 << rng.IntN(14) }},
		{"one costs the most", 4, func(*rand.Rand) int { return 1 }, func(rng *rand.Rand) int { return max(1, (rng.IntN(1000)-998)*maxFairCost) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			var q Fair[*diner]
			weights := make([]int, 500)
			for i := range weights {
				weights[i] = tc.weight(rng)
			}
			var seq uint64
			push := func() {
				seq++
				flow := rng.IntN(len(weights))
				q.Push(new(diner), Position{Flow: strconv.Itoa(flow), Weight: weights[flow], Cost: tc.cost(rng), Seq: seq})
			}
			for range 5000 {
				push()
			}
			const pops = 30_000
			turns := 0.0
			for range pops {
				r := q.ranks[0]
				round := r.round
				q.Pop()
				turns += float64(r.round-round) * float64(r.flows)
				push()
			}
			assert.LessOrEqual(t, turns/pops, tc.most)
		})
	}
}
