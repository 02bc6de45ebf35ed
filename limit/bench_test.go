package limit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// BenchmarkTake is the part of a gate pass that is neither clock nor mutex.
func BenchmarkTake(b *testing.B) {
	second := time.Second
	b.Run("loop alone", func(b *testing.B) {
		now := time.Now()
		for b.Loop() {
			now = now.Add(2 * time.Microsecond)
		}
	})
	for name, limits := range map[string][]limit.Limit{
		"rolling merged":  {{Events: 1e9, Per: second}},
		"rolling exact":   {{Events: 100, Per: 100 * time.Microsecond}},
		"rolling refused": {{Events: 10, Per: time.Hour}},
		"smooth":          {{Events: 1e7, Per: second, Algorithm: limit.Smooth, Burst: 1e6}},
		"calendar":        {{Events: 2e9, Per: second, Algorithm: limit.Calendar}},
		"two rolling":     {{Events: 1e9, Per: second}, {Events: 2e9, Per: 2 * second}},
	} {
		b.Run(name, func(b *testing.B) {
			p, err := limit.NewPlan(limits, 0)
			if err != nil {
				b.Fatal(err)
			}
			s, costs, ceiling, now := p.NewSet(), p.Costs(1), p.Capacity(), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(2 * time.Microsecond)
				s.Take(now, &costs, &ceiling)
			}
		})
	}
}

type waiting struct {
	limit.Turn
}

func BenchmarkPriority(b *testing.B) {
	var q limit.Priority[*waiting]
	rng := rand.New(rand.NewPCG(1, 2))
	var seq uint64
	for range 10_000 {
		seq++
		q.Push(new(waiting), rng.Int64N(40), seq)
	}
	b.ReportAllocs()
	for b.Loop() {
		x, _ := q.Pop()
		seq++
		q.Push(x, rng.Int64N(40), seq)
	}
}
