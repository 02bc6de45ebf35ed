package limit

import (
	"math"
	"time"
)

// Set is one user's account under a [Plan], made by [Plan.NewSet]. It must not be
// copied once it has been used. Not safe for concurrent use.
//
// Costs and ceilings are by the limits' places in the plan. A limit whose cost
// is 0 or less is not asked. A ceiling above the capacity counts as the capacity.
type Set struct {
	// single is the regulator of a plan that has but one limit, a Rolling one, as
	// most have: in one piece with whatever the Set is part of.
	single  rolling
	plan    *Plan
	several *[]regulator // as the plan's specs; nil if single is the one
}

// regulator returns that of limit i.
func (s *Set) regulator(i int) regulator {
	if s.several == nil {
		return &s.single
	}
	return (*s.several)[i]
}

// Plan returns the plan in force.
func (s *Set) Plan() *Plan { return s.plan }

// Take takes costs of all limits if each stays at or below its ceiling, else
// of none.
//
// When ok, tightest is the limit with the least left among those charged (of
// all, when none is), and remaining is what is left of its capacity, 0 or
// more. Otherwise nothing changed, and tightest is the limit that holds the
// request back longest.
func (s *Set) Take(now time.Time, costs, ceiling *Costs) (tightest, remaining int, ok bool) {
	return s.takeIn(s.plan.instant(now), costs, ceiling)
}

// TakeAfter is [Set.Take] at the moment that lies elapsed after the plan's
// [Plan.Epoch], for a gate that cannot afford to make a time of it. The plan
// must not need the wall clock.
func (s *Set) TakeAfter(elapsed time.Duration, costs, ceiling *Costs) (tightest, remaining int, ok bool) {
	at := min(int64(elapsed), horizon)
	if s.several == nil { // here too: a call less, of which there are few
		remaining, ok = s.single.pass(&s.plan.specs[0], at, int64(costs[0]), int64(ceiling[0]))
		return 0, remaining, ok
	}
	return s.takeIn(instant{at: at}, costs, ceiling)
}

func (s *Set) takeIn(in instant, costs, ceiling *Costs) (tightest, remaining int, ok bool) {
	if s.several == nil {
		remaining, ok = s.single.pass(&s.plan.specs[0], in.at, int64(costs[0]), int64(ceiling[0]))
		return 0, remaining, ok
	}
	for i := range s.plan.specs {
		r := s.regulator(i)
		sp := &s.plan.specs[i]
		cost, top := int64(costs[i]), min(int64(ceiling[i]), sp.capacity)
		if cost > 0 && (cost > top || !r.fits(sp, in, cost, top)) {
			_, tightest = s.wait(in, costs, ceiling)
			return tightest, 0, false
		}
	}
	tightest = -1
	for i := range s.plan.specs {
		r := s.regulator(i)
		if c := int64(costs[i]); c > 0 {
			sp := &s.plan.specs[i]
			if left := int(max(sp.capacity-r.take(sp, in, c), 0)); tightest < 0 || left < remaining {
				tightest, remaining = i, left
			}
		}
	}
	if tightest < 0 {
		tightest, remaining = s.tightest(in)
	}
	return tightest, remaining, true
}

// tightest returns the limit with the least left.
func (s *Set) tightest(in instant) (tightest, remaining int) {
	remaining = math.MaxInt
	for i := range s.plan.specs {
		r := s.regulator(i)
		sp := &s.plan.specs[i]
		if left := int(max(sp.capacity-r.used(sp, in), 0)); left < remaining {
			tightest, remaining = i, left
		}
	}
	return tightest, remaining
}

// Wait returns how long until Take would succeed if nothing else is taken: 0
// if now, [Never] if a cost is above its ceiling. It is exact: Take succeeds
// at now+d and not a nanosecond before. Held is the limit that holds the
// request back longest, 0 if none does.
func (s *Set) Wait(now time.Time, costs, ceiling *Costs) (d time.Duration, held int) {
	return s.wait(s.plan.instant(now), costs, ceiling)
}

func (s *Set) wait(in instant, costs, ceiling *Costs) (d time.Duration, held int) {
	for i := range s.plan.specs {
		r := s.regulator(i)
		sp := &s.plan.specs[i]
		cost, top := int64(costs[i]), min(int64(ceiling[i]), sp.capacity)
		if cost <= 0 {
			continue
		}
		if cost > top {
			return Never, i
		}
		if w := r.wait(sp, in, cost, top); w > d {
			d, held = w, i
		}
	}
	return d, held
}

// Charge takes costs whether they fit or not. Beyond the capacity it is a
// debt: nothing that takes of that limit passes until it is worked off. A
// Rolling limit's debt leaves with its window, as does a Calendar limit's; a
// Smooth limit's is paid at its rate.
func (s *Set) Charge(now time.Time, costs *Costs) {
	in := s.plan.instant(now)
	for i := range s.plan.specs {
		r := s.regulator(i)
		if c := int64(costs[i]); c > 0 {
			r.take(&s.plan.specs[i], in, c)
		}
	}
}

// Forget has limit i count as fully used up to `at`, for it is not known how
// much was: a Rolling limit stays full until that has left its window, also
// after a Change to a longer one. It is for a new Set that takes the place of a forgotten one.
func (s *Set) Forget(at time.Time, i int) {
	in, sp := s.plan.instant(at), &s.plan.specs[i]
	if r, ok := s.regulator(i).(*rolling); ok {
		r.forgot, r.gap = max(r.forgot, in.at), true
		return
	}
	s.regulator(i).take(sp, in, sp.capacity)
}

// Refund gives back costs that were taken at `at`, the now of that Take or
// Charge. What no longer counts is not given back a second time, and no limit
// gets emptier than unused: of a Smooth limit, what it earned since `at` is
// deducted; a limit that took up no history at a Change knows of nothing before it.
func (s *Set) Refund(now, at time.Time, costs *Costs) {
	in, then := s.plan.instant(now), s.plan.instant(at)
	for i := range s.plan.specs {
		r := s.regulator(i)
		if c := int64(costs[i]); c > 0 {
			r.give(&s.plan.specs[i], in, then, c)
		}
	}
}

// Used returns how much of limit i counts now; more than its capacity when it
// is in debt.
func (s *Set) Used(now time.Time, i int) int {
	return int(s.regulator(i).used(&s.plan.specs[i], s.plan.instant(now)))
}

// Remaining returns how much of limit i's capacity is left, 0 or more.
func (s *Set) Remaining(now time.Time, i int) int {
	return max(int(s.plan.specs[i].capacity)-s.Used(now, i), 0)
}

// Fresh reports whether, under the plan in force, the Set acts from now on
// exactly as a new one would: it may be forgotten.
func (s *Set) Fresh(now time.Time) bool {
	in := s.plan.instant(now)
	for i := range s.plan.specs {
		r := s.regulator(i)
		if !r.fresh(&s.plan.specs[i], in) {
			return false
		}
	}
	return true
}

// Change moves the Set to p, which must come from [Plan.Change] on its plan or
// on one before it; a plan of other origin panics.
//
// A limit keeps its history when p has one of the same Name and Algorithm;
// limits without a name of their own are paired in order. With another
// Algorithm it starts as if fully used now. A limit that is new starts unused.
//
// No change is a free refill. A Rolling limit whose window got longer counts
// as full until the last take it has already forgotten has left the longer
// window. A Smooth limit's debt is reckoned from its last take at the new rate. A
// Calendar limit with another Per counts what was used as used in the current
// window, and a full one more if that reaches back to takes in windows that have closed.
func (s *Set) Change(now time.Time, p *Plan) {
	if p == s.plan {
		return
	}
	if !p.epoch.Equal(s.plan.epoch) {
		panic("limit: Set.Change to a plan that was not made by Plan.Change of the Set's plan")
	}
	in := p.instant(now)
	in.wall = wallNanos(now)
	from := p.Origin(s.plan)
	next := make([]regulator, len(p.specs))
	for i := range p.specs {
		next[i] = s.successor(in, from[i], &p.specs[i])
	}
	s.plan, s.several = p, &next
	if r, is := next[0].(*rolling); is && len(next) == 1 {
		s.single, s.several = *r, nil
	}
}

// successor returns limit j's regulator gone over to sp; j may be -1.
func (s *Set) successor(in instant, j int, sp *spec) regulator {
	if j < 0 {
		return sp.regulator(in.at)
	}
	old := &s.plan.specs[j]
	if old.algorithm != sp.algorithm {
		r := sp.regulator(in.at)
		r.take(sp, in, sp.capacity)
		return r
	}
	r := s.regulator(j)
	if s.several == nil {
		single := s.single // the Set may get more limits
		r = &single
	}
	r.change(old, sp, in)
	return r
}
