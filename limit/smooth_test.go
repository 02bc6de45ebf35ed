package limit

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A Smooth limit lets cost pass if and only if that leaves every window that
// ends now, of length w, with at most Burst + (w − slack)/interval.
func TestG1_SmoothAsNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Events: rapid.IntRange(1, 7).Draw(t, "events"), Per: 10 * time.Microsecond,
			Algorithm: Smooth, Burst: rapid.IntRange(0, 9).Draw(t, "burst"),
		}
		slack := drawSlack(t, l.Per)
		p := must(NewPlan([]Limit{l}, slack))
		s, now, full, interval := p.NewSet(), origin, p.Capacity(), time.Duration(l.interval())
		require.GreaterOrEqual(t, interval*time.Duration(l.Events), l.Per)
		var grants []grant
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(drawGap(t, 2*interval))
			cost := rapid.IntRange(1, int(full[0])).Draw(t, "cost")
			want, sum := true, cost
			for _, g := range slices.Backward(grants) {
				sum += g.cost
				earned := now.Sub(g.at) - slack
				want = want && earned >= interval*time.Duration(sum-int(full[0]))
			}
			_, _, ok := s.Take(now, &Costs{int32(cost)}, &full)
			if ok != want {
				t.Fatalf("take %d at %v: %v, want %v", cost, now.Sub(origin), ok, want)
			}
			if ok {
				grants = append(grants, grant{now, cost})
			}
		}
	})
}

func TestG1_SmoothNeverExceedsWithRefunds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{Events: 3, Per: time.Microsecond, Algorithm: Smooth, Burst: rapid.IntRange(1, 6).Draw(t, "burst")}
		slack := drawSlack(t, l.Per)
		p := must(NewPlan([]Limit{l}, slack))
		s, now, full, interval := p.NewSet(), origin, p.Capacity(), time.Duration(l.interval())
		var grants []grant
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(drawGap(t, 2*interval))
			if len(grants) > 0 && rapid.IntRange(0, 3).Draw(t, "op") == 0 {
				g := &grants[rapid.IntRange(0, len(grants)-1).Draw(t, "grant")]
				back := rapid.IntRange(0, g.cost).Draw(t, "back")
				s.Refund(now, g.at, &Costs{int32(back)})
				g.cost -= back
				continue
			}
			cost := rapid.IntRange(1, l.Burst).Draw(t, "cost")
			if _, _, ok := s.Take(now, &Costs{int32(cost)}, &full); !ok {
				continue
			}
			grants = append(grants, grant{now, cost})
			sum := 0
			for _, g := range slices.Backward(grants) {
				sum += g.cost
				// From a grant that was given back whole, no window begins.
				if most := l.Burst + int(max(now.Sub(g.at)-slack, 0)/interval); g.cost > 0 && sum > most {
					t.Fatalf("%d in %v, want %d", sum, now.Sub(g.at), most)
				}
			}
		}
	})
}

func TestG1_SmoothDelivers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{Events: rapid.IntRange(1, 10_000_000).Draw(t, "events"), Per: time.Second, Algorithm: Smooth}
		slack := drawSlack(t, l.Per/10)
		l.Burst = 2 + int(int64(slack)/l.interval())
		p := must(NewPlan([]Limit{l}, slack))
		s, now, one, full := p.NewSet(), origin, p.Costs(1), p.Capacity()
		const n = 2000
		for range n + l.Burst {
			d, _ := s.Wait(now, &one, &full)
			now = now.Add(d)
			_, _, ok := s.Take(now, &one, &full)
			require.True(t, ok)
		}
		ideal := float64(n) * float64(l.Per) / float64(l.Events)
		if took := float64(now.Sub(origin) - slack); took > ideal/0.99 {
			t.Fatalf("%d took %v, want %v", n, took, ideal)
		}
	})
}
