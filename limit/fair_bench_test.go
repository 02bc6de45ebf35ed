package limit_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/penstock-go/penstock/limit"
)

type customer struct {
	limit.Slot
}

// BenchmarkFair is a Push and a Pop, with so many waiting in so many flows.
func BenchmarkFair(b *testing.B) {
	for _, c := range []struct{ waiting, ranks, flows, cost int }{
		{0, 1, 1, 1},
		{1000, 1, 1, 1},
		{1000, 1, 100, 1},
		{1000, 1, 100, 4000},
		{100_000, 40, 1000, 4000},
		{100_000, 1, 100_000, 4000},
	} {
		name := fmt.Sprintf("%d waiting in %d flows and %d ranks, cost up to %d", c.waiting, c.flows, c.ranks, c.cost)
		b.Run(name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			positions := make([]limit.Position, max(c.waiting, 1)*7)
			for i := range positions {
				positions[i] = limit.Position{
					Rank: rng.Int64N(int64(c.ranks)), Flow: "flow " + strconv.Itoa(rng.IntN(c.flows)),
					Weight: 1, Cost: 1 + rng.IntN(c.cost),
				}
			}
			var q limit.Fair[*customer]
			var seq uint64
			push := func(x *customer) {
				p := positions[seq%uint64(len(positions))]
				seq++
				p.Seq = seq
				q.Push(x, p)
			}
			for range c.waiting {
				push(new(customer))
			}
			x := new(customer)
			b.ReportAllocs()
			for b.Loop() {
				push(x)
				x, _ = q.Pop()
			}
		})
	}
}
