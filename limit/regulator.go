package limit

import "time"

// regulator is one user's account of one limit. Its limit's numbers are in the
// spec that every method is handed: regulators are many, specs are few.
// Costs are positive, ceilings at most the spec's capacity, and where both are
// given the cost is at most the ceiling.
type regulator interface {
	// fits reports whether used + cost ≤ ceiling.
	fits(sp *spec, now instant, cost, ceiling int64) bool
	// wait returns how long until fits, if nothing else is taken; 0 when it
	// does now.
	wait(sp *spec, now instant, cost, ceiling int64) time.Duration
	// take counts cost at now, whether it fits or not, and returns used.
	take(sp *spec, now instant, cost int64) int64
	// give undoes a take of cost at `at`, as far as it still counts.
	give(sp *spec, now, at instant, cost int64)
	// used returns how much counts now; more than the capacity when in debt.
	used(sp *spec, now instant) int64
	// fresh reports whether, from now on, it acts as a new regulator would.
	fresh(sp *spec, now instant) bool
	// change goes over from one spec to another of the same algorithm.
	change(old, sp *spec, now instant)
	// blank reports whether nothing was ever taken.
	blank() bool
	// past tells what it remembers, in ages.
	past(sp *spec, now instant) Past
}

// spec is a compiled Limit. All times are in nanoseconds.
type spec struct {
	capacity int64 // the most that may be in use: Events, or Burst for Smooth
	span     int64 // Rolling: Per + slack
	slot     int64 // Rolling: takes this near to each other may be remembered as one
	exact    bool  // Rolling: they are not, unless in debt
	interval int64 // Smooth: between two events
	per      int64
	slack    int64

	name      string
	algorithm Algorithm
	unnamed   bool // the name is the String form
}

func newSpec(l Limit, slack time.Duration) spec {
	sp := spec{
		capacity:  int64(l.capacity()),
		span:      int64(l.Per + slack),
		slot:      (int64(l.Per+slack) + slots - 1) / slots,
		exact:     l.Events <= maxEntries,
		interval:  l.interval(),
		per:       int64(l.Per),
		slack:     int64(slack),
		name:      l.Name,
		algorithm: l.Algorithm,
		unnamed:   l.Name == l.String(),
	}
	return sp
}

// regulator makes an unused one, that knows of nothing before born.
func (sp *spec) regulator(born int64) regulator {
	switch sp.algorithm {
	case Smooth:
		return newSmooth(born)
	case Calendar:
		return newCalendar(born)
	}
	r := newRolling(born)
	return &r
}

// instant is one moment on both clocks.
type instant struct {
	at   int64 // ns since the plan's epoch, negative before it
	wall int64 // ns since the Unix epoch; 0 unless the plan has a Calendar limit
}

const (
	past    = -1 << 62 // before any instant.at, and far enough from the end of int64 to add spans to
	horizon = 1 << 61  // |instant.at| is at most this: 73 years
)
