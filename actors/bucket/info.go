package bucket

import (
	"time"

	"github.com/penstock-go/penstock/limit"
)

// Info is what a bucket can tell of itself.
type Info struct {
	ID              string
	Owner           string // the node that decides, if it is another one: then the rest is about what is here
	Live            bool   // false: it has not been used yet or was put away, and the rest is zero
	Waiting         int    // requests that wait for their turn
	Passed, Refused uint64
	ThrottledUntil  time.Time // zero unless a throttle is in force
	Limits          []LimitInfo
}

// LimitInfo is what a bucket has used of one limit.
type LimitInfo struct {
	limit.Limit
	Used      int // in the window that ends now; more than Events when it is in debt
	Remaining int
}

// FamilyInfo is what a family can tell of itself.
type FamilyInfo struct {
	Name            string
	Buckets         int
	Waiting         int // requests that wait, in all buckets, and shared calls under way
	Passed, Refused uint64
	ThrottledUntil  time.Time // of the whole family; zero unless in force
	Limits          []limit.Limit
	Slack           time.Duration
	Shadow          bool
}

// Info tells what the bucket has used and who waits. It does not start a bucket.
func (b *Bucket) Info() Info {
	info := Info{ID: b.id}
	f := b.family
	if f.peers != nil {
		info.Owner = f.peers.owner(b.id)
	}
	e, ok := f.children.Lookup(b.id)
	if !ok {
		return info
	}
	g := &e.Value
	now, ok := g.enter(f.rules.Load())
	if !ok {
		return info
	}
	defer g.mu.Unlock()
	s := &g.state
	info.Live, info.Waiting, info.Passed, info.Refused = true, s.waiting(), s.passed, s.refused()
	if s.held(now) > 0 {
		info.ThrottledUntil = s.backlog.throttle
	}
	for i, l := range s.rules.plan.Limits() {
		info.Limits = append(info.Limits, LimitInfo{Limit: l, Used: s.limits.Used(now, i), Remaining: s.limits.Remaining(now, i)})
	}
	return info
}

// Info tells what the family holds. It looks at every bucket, which takes some ten milliseconds with a million of them.
func (f *Family) Info() FamilyInfo {
	r := f.rules.Load()
	info := FamilyInfo{
		Name:    f.name,
		Buckets: f.Len(),
		Waiting: f.crowd.Len(),
		Limits:  r.plan.Limits(),
		Slack:   f.Slack(),
		Shadow:  f.cfg.Shadow,
	}
	info.Passed, info.Refused = f.totals()
	if f.now(r).Before(r.throttle) {
		info.ThrottledUntil = r.throttle
	}
	return info
}

// totals are the requests let through and turned away since the family's start. They look at every gate, and never fall:
// a bucket that is put away during the walk would otherwise be missed once.
func (f *Family) totals() (passed, refused uint64) {
	f.past.mu.Lock()
	defer f.past.mu.Unlock()
	passed, refused = f.past.passed.Load(), f.past.refused.Load()
	for e := range f.children.All() {
		g := &e.Value
		g.mu.Lock()
		if g.state.rules != nil {
			passed += g.state.passed
			refused += g.state.refused()
		}
		g.mu.Unlock()
	}
	f.past.told.passed, f.past.told.refused = max(passed, f.past.told.passed), max(refused, f.past.told.refused)
	return f.past.told.passed, f.past.told.refused
}
