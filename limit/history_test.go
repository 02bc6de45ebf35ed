package limit

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// machine is a clock of its own: what it shows is ahead of the real time.
type machine time.Duration

func (m machine) at(real time.Time) time.Time { return real.Add(time.Duration(m)) }

// plan is one made at another machine.
func (m machine) plan(limits []Limit, slack time.Duration) *Plan {
	return must(newPlan(m.at(origin), limits, slack))
}

func drawMachine(t *rapid.T) machine {
	return machine(rapid.SampledFrom([]time.Duration{0, time.Nanosecond, -37 * time.Hour, 99 * time.Hour}).Draw(t, "machine"))
}

// No window holds more than the limit in force at the grant that ends it, whichever machines granted what is in it.
func TestG1_RollingHistoriesNeverExceedInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, slack := drawRolling(t)
		m := machine(0)
		p := m.plan([]Limit{l}, slack)
		s, now := p.NewSet(), origin
		var grants []grant
		own, inherited := 0, origin // of grants: the first that the machine made itself
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now = now.Add(drawGap(t, l.Per))
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				own = len(grants)
				h := s.History(m.at(now))
				now = now.Add(drawGap(t, l.Per))
				if rapid.Bool().Draw(t, "other limits") {
					l, slack = drawRolling(t)
				}
				m = drawMachine(t)
				p = m.plan([]Limit{l}, slack)
				s = p.NewSet()
				s.Inherit(m.at(now), h)
				inherited = now
			case 1:
				if len(grants) > 0 {
					i := rapid.IntRange(0, len(grants)-1).Draw(t, "grant")
					g := &grants[i]
					back := rapid.IntRange(0, g.cost).Draw(t, "back")
					if i >= own { // the room knows what was granted elsewhere
						s.Refund(m.at(now), m.at(g.at), &Costs{int32(back)})
						g.cost -= back
					} else if g.at.Before(inherited) {
						s.Refund(m.at(now), m.at(g.at), &Costs{int32(back)}) // to no effect
					}
				}
			default:
				cost := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, l.Events)).Draw(t, "cost")
				full := p.Capacity()
				for range rapid.SampledFrom([]int{1, 1, 3, 20}).Draw(t, "times") {
					if _, _, ok := s.Take(m.at(now), &Costs{int32(cost)}, &full); ok {
						grants = append(grants, grant{now, cost})
						if sum := within(grants, now, l.Per+slack); sum > l.Events {
							t.Fatalf("%d in a window of %v + %v of %v", sum, l.Per, slack, l)
						}
					}
				}
			}
			if n := s.single.len(); n > maxEntries {
				t.Fatalf("%d entries", n)
			}
		}
	})
}

// Whoever inherits grants nothing that the one before would not have granted, and not later than that by more than the history was under
// way.
func TestG1_AnHeirActsAsTheOneBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, per := mixed(t)
		for i := range p.limits { // what merges takes of a large one depends on when it began to
			p.limits[i].Events = min(p.limits[i].Events, 100)
		}
		p = machine(0).plan(p.limits, p.slack)
		s, now, charged := p.NewSet(), origin, origin
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			now = now.Add(drawGap(t, per))
			costs := drawCosts(t, p)
			step(t, &s, now, &charged, &costs)
		}
		p = s.Plan()
		h := s.History(now)
		way := drawGap(t, per/2)
		now = now.Add(way)
		m := machine(0)
		if !p.wall {
			m = drawMachine(t)
		}
		q := m.plan(p.limits, p.slack)
		heir := q.NewSet()
		heir.Inherit(m.at(now), h)

		full := p.Capacity()
		costs := drawCosts(t, p)
		old, _ := s.Wait(now, &costs, &full)
		if d, _ := heir.Wait(m.at(now), &costs, &full); d < old || d > old+min(way, Never-old) {
			t.Fatalf("%v to wait for %v, and %v at the one before, whose history was under way for %v", d, costs, old, way)
		}
		for range 10 {
			now = now.Add(drawGap(t, per))
			costs := drawCosts(t, p)
			if _, _, ok := heir.Take(m.at(now), &costs, &full); ok {
				if _, _, ok := s.Take(now, &costs, &full); !ok {
					t.Fatalf("%v was granted, and would not have been by the one before", costs)
				}
			}
			if heir.Fresh(m.at(now)) && !s.Fresh(now) {
				t.Fatal("the heir has forgotten what counts")
			}
		}
	})
}

// A history that was handed on is as good as one that comes from where it began.
func TestHistoriesOfHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, per := mixed(t)
		s, now, charged := p.NewSet(), origin, origin
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			now = now.Add(drawGap(t, per))
			costs := drawCosts(t, p)
			step(t, &s, now, &charged, &costs)
		}
		heir := s.Plan().NewSet()
		heir.Inherit(now, s.History(now))
		require.Equal(t, s.History(now), heir.History(now))
	})
}

func TestWhatDoesNotMatchCountsAsUsed(t *testing.T) {
	limits := []Limit{
		{Name: "a", Events: 10, Per: time.Minute},
		{Name: "b", Events: 10, Per: time.Minute, Algorithm: Smooth, Burst: 5},
		{Name: "c", Events: 10, Per: time.Minute, Algorithm: Calendar},
	}
	p := must(NewPlan(limits, 0))
	now := p.epoch.Truncate(time.Minute).Add(time.Minute)
	for what, h := range map[string]History{
		"nothing is known":     {},
		"limits of no meaning": {Limits: []Limit{{Events: -1}}, Past: make([]Past, 1)},
		"too few":              {Limits: limits, Past: make([]Past, 2)},
		"others":               {Limits: []Limit{{Name: "d", Events: 1, Per: time.Hour}}},
		"other algorithms": {Limits: []Limit{
			{Name: "a", Events: 1, Per: time.Hour, Algorithm: Calendar}, {Name: "b", Events: 1, Per: time.Hour}, {Name: "c", Events: 1, Per: time.Hour},
		}},
	} {
		s := p.NewSet()
		s.Inherit(now, h)
		for i := range limits {
			require.Zero(t, s.Remaining(now, i), "%s: %d", what, i)
			require.Positive(t, s.Remaining(now.Add(time.Minute), i), "%s: %d", what, i)
		}
	}
	s := p.NewSet()
	s.Inherit(now, p.ptr().History(now))
	for i := range limits {
		require.Equal(t, int(p.Capacity()[i]), s.Remaining(now, i), "nothing was taken: %d", i)
	}
}

func (p *Plan) ptr() *Set { s := p.NewSet(); return &s }

// What is told to be forgotten goes along, also to where the window is longer.
func TestForgottenTakesAreInherited(t *testing.T) {
	p := must(NewPlan([]Limit{{Name: "a", Events: 10, Per: time.Minute}}, 0))
	q := must(p.Change([]Limit{{Name: "a", Events: 10, Per: time.Hour}}, 0))
	s, now := p.NewSet(), p.epoch
	s.Forget(now.Add(-40*time.Second), 0)
	heir := q.NewSet()
	heir.Inherit(now, s.History(now))
	d, _ := heir.Wait(now, &Costs{1}, &Costs{10})
	require.Equal(t, time.Hour-40*time.Second, d)
	same := p.NewSet()
	same.Inherit(now, s.History(now))
	d, _ = same.Wait(now, &Costs{1}, &Costs{10})
	require.Equal(t, 20*time.Second, d)

	s = p.NewSet()
	s.Take(now, &Costs{1}, &Costs{10})
	now = now.Add(2 * time.Minute)
	heir = q.NewSet()
	heir.Inherit(now, s.History(now))
	d, _ = heir.Wait(now, &Costs{1}, &Costs{10})
	require.Equal(t, 58*time.Minute, d, "it left the shorter window, and how much it was is no longer known")
}

// Whatever another node says, sums do not overflow, and nothing that it may have meant passes.
func TestHistoriesOfNoMeaning(t *testing.T) {
	extreme := rapid.OneOf(rapid.Just(int64(math.MinInt64)), rapid.Just(int64(math.MaxInt64)), rapid.Int64(), rapid.Int64Range(-5, 5))
	rapid.Check(t, func(t *rapid.T) {
		p, per := mixed(t)
		h := History{Limits: p.limits, Slack: p.slack, Past: make([]Past, p.Len())}
		draw := func(what string) int64 { return extreme.Draw(t, what) }
		for i := range h.Past {
			h.Past[i] = Past{
				Lost: time.Duration(draw("lost")), Known: rapid.Bool().Draw(t, "known"), Full: rapid.Bool().Draw(t, "full"),
				Ahead: time.Duration(draw("ahead")), Last: time.Duration(draw("last")),
				Window: draw("window"), Latest: draw("latest"), Closed: draw("closed"), Count: draw("count"), Tail: draw("tail"),
			}
			for range rapid.SampledFrom([]int{0, 1, 3, 400}).Draw(t, "taken") {
				h.Past[i].Taken = append(h.Past[i].Taken, Taken{time.Duration(draw("age")), draw("count")})
			}
		}
		s, now := p.NewSet(), p.epoch
		s.Inherit(now, h)
		full := p.Capacity()
		for range 20 {
			now = now.Add(drawGap(t, per))
			costs := drawCosts(t, p)
			if d, _ := s.Wait(now, &costs, &full); d < 0 {
				t.Fatalf("%v to wait", d)
			}
			s.Take(now, &costs, &full)
			for i := range p.Len() {
				if used := s.Used(now, i); used < 0 {
					t.Fatalf("%d used", used)
				}
			}
		}
		next := p.NewSet()
		next.Inherit(now, s.History(now))
	})
}

func TestTheHistoryOfTheUnusedAllocatesNothing(t *testing.T) {
	p := must(NewPlan([]Limit{{Events: 10, Per: time.Minute}, {Events: 100, Per: time.Hour, Algorithm: Calendar}}, 0))
	s, now := p.NewSet(), time.Now()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if h := s.History(now); h.Past != nil {
			t.Fatal(h)
		}
	}))
}
