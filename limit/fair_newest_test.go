package limit

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crowd is flows that stay backlogged while items come, go, give up and come back.
type crowd struct {
	eaters    []eater
	newest    bool
	come      float64 // items of any flow for each that goes
	giveUp    float64 // heads of any flow for each that goes
	back      float64 // part of those that go that are put back
	turnsOver bool    // the order, now and then

	q     Fair[*diner]
	rng   *rand.Rand
	items [][]*diner // of each flow, in order of arrival
	seq   uint64
}

func (c *crowd) push(flow int) {
	c.seq++
	e := c.eaters[flow]
	x := &diner{p: Position{Flow: strconv.Itoa(flow), Weight: e.weight, Cost: 1 + c.rng.IntN(e.most), Seq: c.seq}}
	c.items[flow] = append(c.items[flow], x)
	c.q.Push(x, x.p)
}

func (c *crowd) forget(flow int, x *diner) {
	i, _ := slices.BinarySearchFunc(c.items[flow], x, func(a, b *diner) int { return cmp.Compare(a.p.Seq, b.p.Seq) })
	c.items[flow] = slices.Delete(c.items[flow], i, i+1)
}

// change is what happens between one that goes and the next.
func (c *crowd) change() {
	for c.rng.Float64() < c.come/(1+c.come) {
		c.push(c.rng.IntN(len(c.eaters)))
	}
	for c.rng.Float64() < c.giveUp/(1+c.giveUp) {
		flow := c.rng.IntN(len(c.eaters))
		if n := len(c.items[flow]); n > 1 {
			x := c.items[flow][0]
			if c.newest {
				x = c.items[flow][n-1]
			}
			c.q.Remove(x)
			c.forget(flow, x)
		}
	}
	for flow, e := range c.eaters {
		for len(c.items[flow]) < e.backlog {
			c.push(flow)
		}
	}
	if c.turnsOver && c.rng.IntN(10) == 0 {
		c.newest = !c.newest
		c.q.NewestFirst(c.newest)
	}
}

// share returns how far each flow's share is off, as a part of it.
func (c *crowd) share(t *testing.T, pops int) []float64 {
	c.rng, c.items = rand.New(rand.NewPCG(1, 2)), make([][]*diner, len(c.eaters))
	c.q.NewestFirst(c.newest)
	eaten, sum, weights := make([]float64, len(c.eaters)), 0.0, 0
	for range pops {
		c.change()
		x, ok := c.q.Pop()
		require.True(t, ok)
		if c.rng.Float64() < c.back {
			c.q.Restore(x, x.p)
			continue
		}
		flow, _ := strconv.Atoi(x.p.Flow)
		c.forget(flow, x)
		eaten[flow] += float64(x.p.Cost)
		sum += float64(x.p.Cost)
	}
	for _, e := range c.eaters {
		weights += e.weight
	}
	for flow, e := range c.eaters {
		eaten[flow] = math.Abs(eaten[flow]/sum/(float64(e.weight)/float64(weights)) - 1)
	}
	return eaten
}

// A flow's next item changes without any being served: a newer one comes, it gives up,
// it is put back, the order turns around. None of that loses or wins a flow any share.
func TestG7_FlowsShareByWeightWhateverComesToBeNext(t *testing.T) {
	for _, eaters := range [][]eater{
		{{1, 5, 20}, {1, 5, 20}, {1, 5, 20}},
		{{1, 5, 20}, {1, 5, 1}},
		{{1, 5, 20}, {2, 5, 20}, {5, 5, 20}},
		{{1, 5, 20}, {20, 5, 20}},
		{{1, 5, 20}, {9, 5, 3}, {20, 5, 20}},
	} {
		for _, newest := range []bool{false, true} {
			for name, c := range map[string]crowd{
				"nothing else":  {},
				"more come":     {come: 3},
				"few give up":   {come: 0.5, giveUp: 0.2},
				"most give up":  {come: 3, giveUp: 3},
				"some put back": {come: 0.5, back: 0.3},
				"order turns":   {come: 1, giveUp: 0.2, back: 0.1, turnsOver: true},
			} {
				t.Run(fmt.Sprintf("%v, newest first %v, %s", eaters, newest, name), func(t *testing.T) {
					c.eaters, c.newest = eaters, newest
					off := c.share(t, 15_000)
					assert.LessOrEqual(t, slices.Max(off), 0.05, off)
				})
			}
		}
	}
}

// However often one is taken out and put back, it is charged once.
func TestFairRestore(t *testing.T) {
	var q Fair[*diner]
	var seq uint64
	for range 100 {
		for _, flow := range []string{"a", "b"} {
			seq++
			x := &diner{p: Position{Flow: flow, Cost: 7, Seq: seq}}
			q.Push(x, x.p)
		}
	}
	served := map[string]int{}
	returned := map[*diner]bool{}
	for range 150 { // a's are put back once each
		x, _ := q.Pop()
		if x.p.Flow == "a" && !returned[x] {
			returned[x] = true
			q.Restore(x, x.p)
			continue
		}
		served[x.p.Flow]++
	}
	assert.InDelta(t, served["a"], served["b"], 2, "%v", served)

	x, _ := q.Pop()
	q.Restore(x, x.p)
	assert.Panics(t, func() { q.Restore(x, x.p) }, "waits already")

	var alone Fair[*diner]
	alone.Restore(new(diner), Position{Flow: "c", Cost: 1 << 40})
	_, ok := alone.Pop()
	assert.True(t, ok, "into an empty one")
}
