package limit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// MaxLimits is how many limits one plan may hold. It keeps a vector of costs
// within half a cache line.
const MaxLimits = 8

// Never is the wait of a request that costs more than its ceiling.
const Never time.Duration = math.MaxInt64

// Costs is what a request takes of each limit of a [Plan], by the limit's
// place in it. As a ceiling, it is how far each limit may be used up.
type Costs [MaxLimits]int32

// Plan is a compiled list of limits, immutable and shared by the Sets made of it.
type Plan struct {
	epoch  time.Time // instants count from here
	limits []Limit
	specs  []spec
	slack  time.Duration
	wall   bool
}

// NewPlan compiles 1 to [MaxLimits] limits. Slack is the distance to keep from
// each limit, 0 to just below half of the shortest Per; see the package
// documentation. The error names every bad limit and field and the values it takes.
func NewPlan(limits []Limit, slack time.Duration) (*Plan, error) {
	return newPlan(time.Now(), limits, slack)
}

// Change compiles other limits into a plan that p's Sets can move to with
// [Set.Change]. Bad limits are an error as in [NewPlan].
func (p *Plan) Change(limits []Limit, slack time.Duration) (*Plan, error) {
	return newPlan(p.epoch, limits, slack)
}

func newPlan(epoch time.Time, limits []Limit, slack time.Duration) (*Plan, error) {
	if err := validate(limits, slack); err != nil {
		return nil, err
	}
	p := &Plan{
		epoch:  epoch,
		limits: slices.Clone(limits),
		specs:  make([]spec, len(limits)),
		slack:  slack,
	}
	for i := range p.limits {
		l := &p.limits[i]
		l.Name = l.name()
		p.specs[i] = newSpec(*l, slack)
		p.wall = p.wall || l.Algorithm == Calendar
	}
	return p, nil
}

// name is the Name or its default.
func (l Limit) name() string {
	if l.Name == "" {
		return l.String()
	}
	return l.Name
}

func validate(limits []Limit, slack time.Duration) error {
	var errs []error
	if len(limits) == 0 || len(limits) > MaxLimits {
		errs = append(errs, fmt.Errorf("limits: %d, want 1 to %d", len(limits), MaxLimits))
	}
	if slack < 0 {
		errs = append(errs, fmt.Errorf("slack: %v, want 0 or more", slack))
	}
	for i, l := range limits {
		if err := l.validate(); err != nil {
			errs = append(errs, fmt.Errorf("limit %d (%s): %w", i+1, clip(l.name()), err))
			continue
		}
		if slack >= (l.Per+1)/2 {
			errs = append(errs, fmt.Errorf("slack: %v, want below %v, half of Per of limit %d (%s)", slack, l.Per/2, i+1, l.name()))
		}
		same := func(o Limit) bool { return o.name() == l.name() }
		if j := slices.IndexFunc(limits[:i], same); j >= 0 {
			errs = append(errs, fmt.Errorf("limit %d (%s): Name: the same as limit %d, want one of its own", i+1, l.name(), j+1))
		}
	}
	return errors.Join(errs...)
}

// Limits returns a copy of the limits, with the default names filled in.
func (p *Plan) Limits() []Limit { return slices.Clone(p.limits) }

// Slack returns the distance kept from each limit.
func (p *Plan) Slack() time.Duration { return p.slack }

// Len returns how many limits there are.
func (p *Plan) Len() int { return len(p.limits) }

// Index returns the place of the limit called name, or -1.
func (p *Plan) Index(name string) int {
	return slices.IndexFunc(p.limits, func(l Limit) bool { return l.Name == name })
}

// Translate gives costs of another plan's limits their places in p, limit by
// limit as [Set.Change] pairs them. A limit that is new in p costs n.
func (p *Plan) Translate(from *Plan, costs *Costs, n int) Costs {
	if from == p {
		return *costs
	}
	translated := p.Costs(n)
	for i, j := range p.Origin(from) {
		if j >= 0 {
			translated[i] = costs[j]
		}
	}
	return translated
}

// Costs returns n for each limit, at least 0 and at most what an int32 holds,
// and 0 in the places that no limit has.
func (p *Plan) Costs(n int) Costs {
	var c Costs
	for i := range p.specs {
		c[i] = int32(min(max(n, 0), math.MaxInt32))
	}
	return c
}

// Capacity returns the most one request may ever take: Events, or Burst of a
// Smooth limit. As a ceiling, it leaves no head-room.
func (p *Plan) Capacity() Costs {
	var c Costs
	for i := range p.specs {
		c[i] = int32(p.specs[i].capacity)
	}
	return c
}

// Share returns the ceilings that use up no more than this share of each
// capacity, from 0 to 1: rounded down, but at least 1 unless the share is 0.
func (p *Plan) Share(share float64) Costs {
	var c Costs
	if !(share > 0) {
		return c
	}
	for i := range p.specs {
		capacity := float64(p.specs[i].capacity)
		// 0.29 × 100 is 28.999999999999996 in floating point, and 29 to whoever wrote it.
		n := math.Floor(capacity * share * (1 + 1e-12))
		c[i] = int32(min(max(n, 1), capacity))
	}
	return c
}

// WallClock reports whether a limit is Calendar: then now must carry the wall
// clock's time, as [time.Now] does.
func (p *Plan) WallClock() bool { return p.wall }

// Epoch returns the moment that [Set.TakeAfter] counts from: the making of the
// plan, or of the one that it goes back to by [Plan.Change].
func (p *Plan) Epoch() time.Time { return p.epoch }

// NewSet returns an account of which nothing is used.
func (p *Plan) NewSet() Set {
	if len(p.specs) == 1 && p.specs[0].algorithm == Rolling {
		return Set{plan: p, single: newRolling(past)}
	}
	several := make([]regulator, len(p.specs))
	for i := range p.specs {
		several[i] = p.specs[i].regulator(past)
	}
	return Set{plan: p, several: &several}
}

// offset is the nanoseconds since the epoch. Monotonic readings are used when
// now has one, as the epoch does.
func (p *Plan) offset(now time.Time) int64 {
	return min(max(int64(now.Sub(p.epoch)), -horizon), horizon)
}

// instant places a time on the plan's clocks.
func (p *Plan) instant(now time.Time) instant {
	in := instant{at: p.offset(now)}
	if p.wall {
		in.wall = wallNanos(now)
	}
	return in
}

// wallNanos is UnixNano, held still 285 years from 1970 where that would overflow.
func wallNanos(now time.Time) int64 {
	const far = 9_000_000_000
	sec := now.Unix()
	if sec < -far || sec > far {
		return min(max(sec, -far), far) * int64(time.Second)
	}
	return now.UnixNano()
}

// Origin returns, for each limit of p, the place of the limit of old whose
// history it takes up in [Set.Change], or -1. Names decide; limits without a name of their own
// whose default names changed with their numbers are paired in order.
func (p *Plan) Origin(old *Plan) [MaxLimits]int {
	var from [MaxLimits]int
	var taken [MaxLimits]bool
	for i := range from {
		from[i] = -1
	}
	for i := range p.specs {
		from[i] = old.Index(p.specs[i].name)
		if from[i] >= 0 {
			taken[from[i]] = true
		}
	}
	for i := range p.specs {
		if from[i] >= 0 || !p.specs[i].unnamed {
			continue
		}
		for j := range old.specs {
			if old.specs[j].unnamed && !taken[j] {
				from[i], taken[j] = j, true
				break
			}
		}
	}
	return from
}
