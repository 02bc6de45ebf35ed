package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// absence is since when an owner has been found away, and when it was last.
type absence struct{ since, last time.Time }

const (
	// endures is for how long an owner must have been away until a node lets requests go by itself. Owners change within that.
	endures = time.Second
	// retries is how often in that an owner is asked that is away.
	retries = 20
)

// alonePlan is the part of the limits that a node keeps by itself while the owner is away.
func alonePlan(p *limit.Plan, share float64) (*limit.Plan, error) {
	limits := p.Limits()
	var errs []error
	part := func(n int) int { return int(float64(n) * share * (1 + 1e-12)) } // as limit.Plan.Share: 0.29 × 100 is 29
	for i := range limits {
		l := &limits[i]
		burst := l.Burst
		if l.Algorithm == limit.Smooth {
			burst = max(burst, 1)
			l.Burst = part(burst)
		}
		if l.Events = part(l.Events); l.Events < 1 || burst > 0 && l.Burst < 1 {
			errs = append(errs, fmt.Errorf("LocalShare is %v, which makes less than 1 of limit %q; it takes more, or 0 for none", share, l.Name))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p.Change(limits, p.Slack())
}

// setAlone has the rules hold the plan for when the owner is away, which follows from the other one.
func (r *rules) setAlone(share float64) (err error) {
	if share > 0 {
		r.alone, err = alonePlan(r.plan, share)
	}
	return err
}

// away notes that the owner of a shard cannot be reached, and reports whether it has been so for so long that this node goes on alone.
func (p *peers) away(shard int) bool {
	now := p.family.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.absent[shard]
	if a.since.IsZero() || now.Sub(a.last) > endures {
		a.since = now
	}
	a.last = now
	p.absent[shard] = a
	return now.Sub(a.since) >= endures
}

// back notes that an owner has answered.
func (p *peers) back(shard int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.absent, shard)
}

// goAlone lets a request go by this node's share of the limits, or says how long it has to wait for that at least.
func (b *Bucket) goAlone(r *Request) (permit Permit, wait time.Duration, err error) {
	for {
		rules, e, err := b.live()
		if err != nil {
			return permit, 0, err
		}
		var own limit.Costs
		costs, err := rules.price(r, &own)
		if err != nil {
			return permit, 0, b.family.fault(b.id, err)
		}
		g := &e.Value
		now, ok := g.enter(rules)
		if !ok {
			b.lose(e)
			continue
		}
		wait = g.takeAlone(now, rules, costs)
		g.mu.Unlock()
		return Permit{at: now}, wait, nil
	}
}

// takeAlone takes costs of this node's share of the limits, if wait is 0. The gate is locked.
func (g *gate) takeAlone(now time.Time, r *rules, costs *limit.Costs) (wait time.Duration) {
	s := &g.state
	if s.rules != r || s.held(now) > 0 {
		return endures / retries
	}
	set := g.tenure.alone
	if set == nil {
		fresh := r.alone.NewSet()
		set = &fresh
		g.tenure.alone = set
	}
	set.Change(now, r.alone)
	s.use(now.Sub(r.epoch))
	full := r.alone.Capacity()
	if wait, _ = set.Wait(now, costs, &full); wait == 0 {
		set.Charge(now, costs)
		s.passed++
	}
	return wait
}

// fresh reports whether nothing that was let go alone counts any more.
func (t *tenure) fresh(now time.Time) bool { return t == nil || t.alone == nil || t.alone.Fresh(now) }

// outlast waits for an owner that is away, and lets the request go alone when it may. ok is false if the owner is to be asked again.
func (b *Bucket) outlast(ctx context.Context, shard int, r *Request) (permit Permit, ok bool, err error) {
	wait := endures / retries
	if b.family.peers.away(shard) {
		permit, rest, err := b.goAlone(r)
		if err != nil || rest == 0 {
			return permit, err == nil, err
		}
		wait = min(wait, rest)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return Permit{}, false, nil
}
