package bucket

import (
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// Limits are the limits in force, with their names filled in.
func (f *Family) Limits() []limit.Limit { return f.rules.Load().plan.Limits() }

// Slack is the distance kept from the limits, without what [Config].Transit adds.
func (f *Family) Slack() time.Duration { return f.rules.Load().plan.Slack() - f.cfg.Transit }

// SetLimits changes the limits of every bucket, present and future. A limit that keeps its name keeps its history, and
// limits without names of their own are paired in order; no change refills one. So a window that gets longer counts what
// is no longer known of it as fully used, and one that gets longer than Idle does so for new IDs too: they may be those
// of buckets that were put away. Requests that wait and could never be granted any more get an error. A bad limit is an
// error and changes nothing.
func (f *Family) SetLimits(limits ...limit.Limit) error {
	return f.setPlan(func(p *limit.Plan) (*limit.Plan, error) { return p.Change(limits, p.Slack()) })
}

// SetSlack changes the distance kept from the limits; see [Config].
func (f *Family) SetSlack(d time.Duration) error {
	return f.setPlan(func(p *limit.Plan) (*limit.Plan, error) { return p.Change(p.Limits(), d+f.cfg.Transit) })
}

func (f *Family) setPlan(change func(*limit.Plan) (*limit.Plan, error)) error {
	var failure error
	f.update(func(r *rules) bool {
		plan, err := change(r.plan)
		if err != nil {
			failure = fmt.Errorf("%w limits of bucket family %q: %w", penstock.ErrInvalid, f.name, err)
			return false
		}
		if f.peers != nil {
			f.peers.remember(f.rules.Load())
		}
		before := r.plan
		r.withPlan(plan, f.cfg.Headroom).lengthen(f.former(), before)
		if err := r.setAlone(f.cfg.LocalShare); err != nil {
			failure = fmt.Errorf("%w limits of bucket family %q: %w", penstock.ErrInvalid, f.name, err)
			return false
		}
		return true
	})
	if failure == nil {
		f.wakeAll()
	}
	return failure
}

// Throttle lets nothing of the whole family pass before until, in buckets present and future. It never shortens a
// longer throttle.
//
// A clustered family tells the other nodes how long that still is. Who cannot be reached, or joins later, does not hear of it.
func (f *Family) Throttle(until time.Time) {
	until = monotonic(until)
	if f.peers != nil {
		f.peers.throttle(until)
	}
	f.hold(until)
}

// hold is Throttle for this node.
func (f *Family) hold(until time.Time) {
	f.update(func(r *rules) bool {
		longer := r.throttle.IsZero() || until.After(r.throttle)
		if longer {
			r.throttle = until
		}
		return longer
	})
}

// update puts a changed copy of the rules in force, if change says that it changed them.
func (f *Family) update(change func(*rules) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.rules.Load().next(); change(r) {
		f.rules.Store(r.settled())
	}
}

// wakeAll has every bucket at which somebody waits look at the rules anew.
func (f *Family) wakeAll() {
	for e := range f.children.All() {
		e.Value.mu.Lock()
		e.Value.leave(e)
	}
}
