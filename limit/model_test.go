package limit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// origin is long before any plan's epoch, as the times of a log are.
var origin = time.Date(2015, 3, 29, 0, 59, 58, 999_999_000, time.UTC)

// grant is something that passed and was not given back.
type grant struct {
	at   time.Time
	cost int
}

// clone copies the Set's state, so that a test may ask what would happen.
func clone(s Set) Set {
	c := Set{plan: s.plan, single: cloneRolling(s.single)}
	if s.several == nil {
		return c
	}
	several := make([]regulator, 0, len(*s.several))
	for _, r := range *s.several {
		switch r := r.(type) {
		case *rolling:
			n := cloneRolling(*r)
			several = append(several, &n)
		case *smooth:
			n := *r
			several = append(several, &n)
		case *calendar:
			n := *r
			several = append(several, &n)
		}
	}
	c.several = &several
	return c
}

func cloneRolling(r rolling) rolling {
	if r.older != nil {
		r.older = &older{ring: slices.Clone(r.older.ring), born: r.older.born}
	}
	return r
}

func drawSlack(t *rapid.T, per time.Duration) time.Duration {
	return time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(per-1)/2)).Draw(t, "slack"))
}

// drawGap is nothing, some nanoseconds, a part of the span, or more than it.
func drawGap(t *rapid.T, per time.Duration) time.Duration {
	return time.Duration(rapid.OneOf(
		rapid.Just(int64(0)),
		rapid.Int64Range(0, 3),
		rapid.Int64Range(0, int64(per)/20),
		rapid.Int64Range(int64(per)-2, int64(per)+1), // a nanosecond too early is too early
		rapid.Int64Range(0, 2*int64(per)),
	).Draw(t, "gap"))
}

// mixed draws a set of several limits, and a step of its life.
func mixed(t *rapid.T) (*Plan, time.Duration) {
	var limits []Limit
	per := time.Duration(10_000)
	for i := range rapid.IntRange(1, 4).Draw(t, "limits") {
		l := Limit{
			Name: fmt.Sprint(i), Per: per,
			Events:    rapid.SampledFrom([]int{1, 2, 5, 9, 100, 300, 5000}).Draw(t, "events"),
			Algorithm: rapid.SampledFrom([]Algorithm{Rolling, Rolling, Smooth, Calendar}).Draw(t, "algorithm"),
		}
		if l.Algorithm == Smooth {
			l.Burst = rapid.IntRange(1, 6).Draw(t, "burst")
			l.Events = min(l.Events, 100)
		}
		limits = append(limits, l)
	}
	return must(NewPlan(limits, drawSlack(t, per))), per
}

func drawCosts(t *rapid.T, p *Plan) Costs {
	var c Costs
	for i := range p.Len() {
		c[i] = int32(rapid.IntRange(0, 4).Draw(t, "cost"))
	}
	return c
}

// step takes, charges, gives back or changes slack.
func step(t *rapid.T, s *Set, now time.Time, charged *time.Time, costs *Costs) {
	full := s.Plan().Capacity()
	switch rapid.IntRange(0, 9).Draw(t, "op") {
	case 0:
		s.Charge(now, costs)
		*charged = now
	case 1:
		s.Refund(now, *charged, costs)
	case 2:
		p := must(s.Plan().Change(s.Plan().Limits(), drawSlack(t, s.Plan().Limits()[0].Per)))
		s.Change(now, p)
	default:
		if _, _, ok := s.Take(now, costs, &full); ok {
			*charged = now
		}
	}
}

func TestSetWaitIsExactAndTakeIsAllOrNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, per := mixed(t)
		s, now, charged := p.NewSet(), origin, origin
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(drawGap(t, per))
			costs := drawCosts(t, p)
			step(t, &s, now, &charged, &costs)

			asked := now.Add(-drawGap(t, per/10)) // a clock may be a little behind
			if rapid.IntRange(0, 9).Draw(t, "look ahead") == 0 {
				s.Used(now.Add(drawGap(t, per)), 0) // another was ahead
			}
			ceiling := p.Share(rapid.SampledFrom([]float64{1, 0.7, 0.3}).Draw(t, "share"))
			d, held := s.Wait(asked, &costs, &ceiling)
			if d == Never {
				if costs[held] <= ceiling[held] {
					t.Fatalf("never, but %v ≤ %v", costs, ceiling)
				}
				continue
			}
			c := clone(s)
			if _, _, ok := c.Take(asked.Add(d), &costs, &ceiling); !ok {
				t.Fatalf("wait %v was too short for %v of %v", d, costs, p.Limits())
			}
			if d == 0 {
				continue
			}
			c = clone(s)
			tightest, _, ok := c.Take(asked.Add(d-1), &costs, &ceiling)
			if ok || tightest != held {
				t.Fatalf("wait %v was too long, or held by %d: %v, %d", d, held, ok, tightest)
			}
			for i := range p.Len() {
				twin := clone(s)
				if got, want := c.Used(asked.Add(d-1), i), twin.Used(asked.Add(d-1), i); got != want {
					t.Fatalf("a refused take left %d used of limit %d, want %d", got, i, want)
				}
			}
		}
	})
}

func TestSetFreshIffItActsAsNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, per := mixed(t)
		s, now, charged := p.NewSet(), origin, origin
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(drawGap(t, per))
			costs := drawCosts(t, p)
			step(t, &s, now, &charged, &costs)
			used := false
			for i := range p.Len() {
				used = used || s.Used(now, i) > 0
			}
			// A calendar window opened before the slack grew may be ahead of a new Set's.
			if fresh := s.Fresh(now); fresh && used || !fresh && !used && s.Plan() == p {
				t.Fatalf("fresh %v, used %v", fresh, used)
			}
		}
		now = now.Add(drawGap(t, 3*per))
		back := now.Add(-time.Duration(rapid.Int64Range(0, int64(per)).Draw(t, "back")))
		if s.Fresh(back) {
			twins := [2]Set{clone(s), s.Plan().NewSet()}
			full := s.Plan().Capacity()
			for range 20 {
				costs := drawCosts(t, p)
				a1, a2, a3 := twins[0].Take(back, &costs, &full)
				b1, b2, b3 := twins[1].Take(back, &costs, &full)
				if a1 != b1 || a2 != b2 || a3 != b3 {
					t.Fatalf("fresh, but %d %d %v instead of %d %d %v", a1, a2, a3, b1, b2, b3)
				}
				back = back.Add(drawGap(t, per))
			}
		}
	})
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
