package bucket

import (
	"fmt"
	"maps"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// rules is a family's configuration, compiled. It is immutable: a change of limits, a throttle of the family and its
// closing each make a new version, which every bucket adopts when it is next used. So the way through a gate compares
// one pointer to learn of all three.
type rules struct {
	version  uint64
	planned  uint64 // the version that brought the plan
	plan     *limit.Plan
	alone    *limit.Plan  // this node's part while the owner is away; nil: none
	names    []string     // of the limits
	one      limit.Costs  // of the zero Request
	full     limit.Costs  // ceiling without head-room
	classes  []classRules // in order of falling urgency; empty: no head-room
	lift     time.Duration
	aging    time.Duration
	weights  map[string]int  // of flows; 1 if they are not in it
	grain    time.Duration   // how far behind a bucket's note of its last use may be
	unused   time.Duration   // for so long at least nobody had used a bucket that was put away
	reach    []time.Duration // by limit: what was taken longer ago does not count
	wall     bool            // a limit needs the wall clock
	owned    bool            // buckets have owners among several nodes: each turn takes a look at who it is
	fast     bool            // the fast way through a gate may be tried: no wall clock needed, not closed, not clustered
	epoch    time.Time       // the plan's, which never changes; ranks count from it too
	throttle time.Time       // of the whole family; zero: none
	// forgotten is, for limits whose window got longer than Idle, when buckets that were put away before may at the latest
	// have used them up. Who comes back, or is new, is taken for one of those.
	forgotten [limit.MaxLimits]time.Time
	refusal   error // why nothing is let in any more; nil: it is
}

type classRules struct {
	maxNice int
	ceiling limit.Costs
}

func newRules(c Config, plan *limit.Plan) *rules {
	r := &rules{lift: c.Headroom.Lift, aging: c.Aging, weights: maps.Clone(c.Weights), grain: c.Idle / 16, epoch: plan.Epoch(), owned: c.Clustered}
	r.unused = c.Idle - r.grain // the directory's note of the last use may be that far behind
	return r.withPlan(plan, c.Headroom).settled()
}

// settled works out what follows from the rest, once all of it has been changed.
func (r *rules) settled() *rules {
	r.fast = !r.wall && !r.owned && r.refusal == nil
	return r
}

// withPlan sets the plan and all that follows from it.
func (r *rules) withPlan(plan *limit.Plan, h Headroom) *rules {
	r.plan, r.one, r.full = plan, plan.Costs(1), plan.Capacity()
	r.wall = plan.WallClock()
	r.planned = r.version
	r.names, r.reach = nil, nil
	for _, l := range plan.Limits() {
		r.names = append(r.names, l.Name)
		r.reach = append(r.reach, memory(l)+2*plan.Slack())
	}
	r.classes = nil
	for _, c := range h.Classes {
		r.classes = append(r.classes, classRules{maxNice: c.MaxNice, ceiling: plan.Share(c.Share)})
	}
	return r
}

// next is a copy of r that follows it.
func (r *rules) next() *rules {
	n := *r
	n.version++
	return &n
}

// ceiling is how far a request of this niceness may use the limits at once.
func (r *rules) ceiling(nice int) *limit.Costs {
	last := len(r.classes) - 1
	if last < 0 {
		return &r.full
	}
	for i := range r.classes[:last] {
		if nice <= r.classes[i].maxNice {
			return &r.classes[i].ceiling
		}
	}
	return &r.classes[last].ceiling
}

// rank orders requests that wait: the lower goes first. With ageing it is the moment at which a request would have to
// have arrived with niceness 0 to be as urgent; since all age alike, the order of two requests never changes.
func (r *rules) rank(nice int, since time.Time) int64 {
	if r.aging == 0 {
		return int64(nice)
	}
	return int64(nice)*int64(r.aging) + int64(since.Sub(r.epoch))
}

// price says what a request takes of each limit. It returns a vector of the rules' own, or fills into.
func (r *rules) price(req *Request, into *limit.Costs) (*limit.Costs, error) {
	if uint(req.Nice-MinNice) > MaxNice-MinNice {
		return nil, fmt.Errorf("%w request: Nice is %d; it takes -20 (most urgent) to 19", penstock.ErrInvalid, req.Nice)
	}
	if err := r.checkFlow(req.Flow); err != nil {
		return nil, err
	}
	if req.Costs == nil && uint(req.Cost) <= 1 {
		return &r.one, nil
	}
	return into, r.priceInto(req, into)
}

func (r *rules) priceInto(req *Request, costs *limit.Costs) error {
	if req.Cost < 0 {
		return fmt.Errorf("%w request: Cost is %d; it takes a positive number, or 0 for 1", penstock.ErrInvalid, req.Cost)
	}
	*costs = r.plan.Costs(max(req.Cost, 1))
	for name, n := range req.Costs {
		i := r.plan.Index(name)
		if i < 0 {
			return fmt.Errorf("%w request: Costs names the limit %q; there are %q", penstock.ErrInvalid, name, r.names)
		}
		if n < 0 {
			return fmt.Errorf("%w request: Costs[%q] is %d; it takes 0 or more", penstock.ErrInvalid, name, n)
		}
		costs[i] = int32(clampCost(n))
	}
	if *costs == (limit.Costs{}) {
		return fmt.Errorf("%w request: it costs nothing of any limit; it takes a cost of 1 or more of at least one", penstock.ErrInvalid)
	}
	return nil
}

// clampCost keeps a cost within what a limit can count; that much is never granted anyway.
func clampCost(n int) int { return min(n, 1<<31-1) }

// possible returns an error if a request can never be granted, however long it waits.
func (r *rules) possible(nice int, costs *limit.Costs) error {
	return r.fits(costs, r.utmost(nice), "which never grants it more than %d at once")
}

// atOnce returns an error if a request can never be granted without having waited.
func (r *rules) atOnce(nice int, costs *limit.Costs) error {
	return r.fits(costs, r.ceiling(nice), "of which its niceness lets it take at most %d unless it has waited: use Acquire")
}

// utmost is the ceiling that a request of this niceness gets to by waiting.
func (r *rules) utmost(nice int) *limit.Costs {
	switch {
	case r.lift > 0:
		return &r.full
	case r.aging > 0:
		return r.ceiling(MinNice)
	}
	return r.ceiling(nice)
}

// fits returns an error, ending in the given words, if the costs are above the ceiling.
func (r *rules) fits(costs, ceiling *limit.Costs, words string) error {
	for i, name := range r.names {
		if costs[i] > ceiling[i] {
			return fmt.Errorf("%w request: it costs %d of limit %q, "+words, penstock.ErrInvalid, costs[i], name, ceiling[i])
		}
	}
	return nil
}

// lengthen notes which limits, compared with those of the plan before, have a window that reaches back to what a bucket
// that was put away, the last of them at former, may have used; zero: none ever was.
func (r *rules) lengthen(former time.Time, before *limit.Plan) {
	var forgotten [limit.MaxLimits]time.Time
	limits, old := r.plan.Limits(), before.Limits()
	for i, j := range r.plan.Origin(before) {
		if j < 0 {
			continue
		}
		forgotten[i] = r.forgotten[j]
		unused := r.unused // before it was put away: longer if its window had to be empty for that
		if l, o := limits[i], old[j]; l.Algorithm == o.Algorithm && (l.Algorithm != limit.Calendar || l.Per == o.Per) {
			unused = max(unused, memory(o)+before.Slack())
		}
		if !former.IsZero() && memory(limits[i])+r.plan.Slack() > unused {
			forgotten[i] = later(forgotten[i], former.Add(-unused))
		}
	}
	r.forgotten = forgotten
}

// memory is for how long a limit remembers a take.
func memory(l limit.Limit) time.Duration {
	if l.Algorithm == limit.Smooth {
		n := time.Duration(l.Events)
		return (l.Per + n - 1) / n * time.Duration(max(l.Burst, 1))
	}
	return l.Per
}

// remember has the limits of a bucket that is made at born know what it may have used when it lived before, also what
// counts no more: a window that gets longer may reach back to it. former is when a bucket was put away last; zero: none.
func (r *rules) remember(s *limit.Set, born, former time.Time) {
	for i := range r.names {
		at := r.forgotten[i]
		if !former.IsZero() {
			at = later(at, earlier(former.Add(-r.unused), born.Add(-r.reach[i])))
		}
		if !at.IsZero() {
			s.Forget(at, i)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
