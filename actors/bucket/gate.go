package bucket

import (
	"sync"
	"time"

	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/registry"
)

// entry is how a family's directory knows a bucket. Its Value is the gate.
type entry = registry.Entry[string, gate]

// gate is what callers may touch without a message: may I pass now, may I wait? It guards the bucket's state for them
// and for the bucket's actor. It lives in the directory's entry and so outlives the actor.
//
// The order of the fields, here and in the state, is that of their use: all that a pass touches is in the first two cache
// lines, and what it writes (the lock, the count, the newest entry of a rolling window) in the first. With many buckets
// the time of a pass is that of bringing lines into the cache, those above all that another core has written to.
type gate struct {
	mu     sync.Mutex
	state  state  // guarded by mu
	handle Bucket // what callers are given, so that looking a bucket up allocates nothing
	registry.Life
	tenure *tenure // guarded by mu; nil unless the family is clustered
}

// answer is what a gate says.
type answer uint8

const (
	granted  answer = iota
	shadowed        // would have been held, and goes because the family only looks
	queued          // was admitted to wait
	refused         // may not go now
	crowded         // has to wait, and as many wait as may
	never           // can never go
	moved           // another node is to be asked
	stale           // the rules have changed meanwhile: price it again
	gone            // the bucket was put away: look it up again
)

// enter locks the gate and brings the state up to the rules, unless it has newer ones. It returns false, unlocked, if the
// bucket was put away.
func (g *gate) enter(r *rules) (now time.Time, ok bool) {
	g.mu.Lock()
	now = g.handle.family.now(r)
	if g.state.rules != r && !g.catchUp(now, r) {
		g.mu.Unlock()
		return now, false
	}
	return now, true
}

// catchUp adopts r unless the state is newer already, and reports false if the bucket was put away.
func (g *gate) catchUp(now time.Time, r *rules) bool {
	if g.state.rules == nil {
		return false
	}
	if r.version > g.state.rules.version {
		g.state.adopt(now, r)
	}
	return true
}

// pass is the fast way through the gate, for the common case: the rules are the state's, nothing is throttled, nobody
// waits, and there is room. If it fails nothing has happened, and the caller goes the whole way, which finds out why.
func (g *gate) pass(r *rules, nice int, costs *limit.Costs) (tightest, remaining int, elapsed time.Duration, ok bool) {
	if !r.fast {
		return 0, 0, 0, false
	}
	ceiling := &r.full
	if len(r.classes) > 0 {
		ceiling = r.ceiling(nice)
	}
	g.mu.Lock()
	if s := &g.state; s.rules == r && s.calm() {
		elapsed = time.Since(r.epoch)
		if tightest, remaining, ok = s.limits.TakeAfter(elapsed, costs, ceiling); ok {
			s.passed++
			s.use(elapsed)
		}
	}
	g.mu.Unlock()
	return tightest, remaining, elapsed, ok
}

// try lets a request through or refuses it, at once.
func (g *gate) try(r *rules, nice int, costs *limit.Costs) (Decision, answer) {
	now, ok := g.enter(r)
	if !ok {
		return Decision{}, gone
	}
	s := &g.state
	if s.rules != r {
		g.mu.Unlock()
		return Decision{}, stale
	}
	s.use(now.Sub(r.epoch))
	if r.owned {
		if on := g.footing(now); on != owned {
			g.mu.Unlock()
			return Decision{RetryAfter: g.handle.family.cfg.Transit / beats}, moved
		}
		if l := g.tenure.lending; l != nil && costs == &r.one && r.lends(nice) && l.restrains(g.handle.family.peers.clock()) {
			s.behind().refused++
			g.mu.Unlock()
			return Decision{RetryAfter: g.handle.family.cfg.Transit / beats, Limit: r.names[0]}, refused
		}
	}
	if tightest, remaining, ok := s.pass(now, nice, costs); ok {
		s.passed++
		name := s.rules.names[tightest]
		g.mu.Unlock()
		return Decision{Allowed: true, Limit: name, Remaining: remaining}, granted
	}
	defer g.mu.Unlock()
	s.behind().refused++
	wait, held := s.await(now, nice, costs)
	d := Decision{RetryAfter: wait}
	if held >= 0 {
		d.Limit = s.rules.names[held]
	}
	if g.handle.family.cfg.Shadow {
		d.Allowed = true
		return d, shadowed
	}
	if s.rules.atOnce(nice, costs) != nil {
		return d, never
	}
	return d, refused
}

// ask lets a request through, or admits it to wait and returns its waiter. costs are what req takes under the rules r; c is
// the call it is made for, or nil.
func (g *gate) ask(e *entry, r *rules, req *Request, costs *limit.Costs, c *call) (Permit, *waiter, answer) {
	now, ok := g.enter(r)
	if !ok {
		return Permit{}, nil, gone
	}
	defer g.mu.Unlock()
	f, s, nice := g.handle.family, &g.state, req.Nice
	if s.rules != r {
		return Permit{}, nil, stale
	}
	s.use(now.Sub(r.epoch))
	if c != nil {
		nice = c.nice // somebody more urgent may have joined the call
	}
	on := owned
	if r.owned {
		if on = g.footing(now); on == elsewhere {
			return Permit{}, nil, moved
		}
	}
	if on == owned {
		if _, _, ok := s.pass(now, nice, costs); ok {
			s.passed++
			return Permit{entry: e, rules: s.rules, at: now, costs: *costs}, nil, granted
		}
	}
	switch {
	case f.cfg.Shadow:
		s.behind().refused++
		s.owe(now, costs, f.cfg.MaxWaiting) // it does go, and those after it are to be told so
		return Permit{entry: e, rules: s.rules, at: now, costs: *costs}, nil, shadowed
	case s.rules.possible(nice, costs) != nil:
		return Permit{}, nil, never
	case s.waiting() >= f.cfg.MaxWaiting:
		s.behind().refused++
		return Permit{}, nil, crowded
	}
	w := f.waiterFor(e, c)
	w.ticket.cost, w.ticket.flow = max(req.Cost, 1), req.Flow
	s.admit(now, nice, costs, &w.ticket)
	g.park(e)
	f.crowd.Enter()
	return Permit{}, w, queued
}

// grab lets a request through if it may go at once and the bucket is this node's, and notes its turn. Else nothing has happened.
func (g *gate) grab(e *entry, r *rules, nice int, costs *limit.Costs, into *turn) answer {
	now, ok := g.enter(r)
	if !ok {
		return gone
	}
	defer g.mu.Unlock()
	s := &g.state
	if s.rules != r {
		return stale
	}
	s.use(now.Sub(r.epoch))
	if g.footing(now) != owned {
		return moved
	}
	if _, _, ok := s.pass(now, nice, costs); !ok {
		return refused
	}
	s.passed++
	into.granted, into.epoch = true, g.tenure.epoch
	into.permit = Permit{entry: e, rules: s.rules, at: now, costs: *costs}
	return granted
}

// undo gives back what a permit took, as if it had never been granted, and lets those who wait have it.
func (g *gate) undo(p *Permit) {
	now, ok := g.enter(g.handle.family.rules.Load())
	if !ok {
		return // put away, so nothing is left to give back to
	}
	costs := g.state.rules.plan.Translate(p.rules.plan, &p.costs, 0)
	if g.remembers(p.at) {
		g.state.limits.Refund(now, p.at, &costs)
		g.state.passed--
	}
	g.leave(p.entry)
}

// leave unlocks the gate of e, and has the actor look at the line if there is one.
func (g *gate) leave(e *entry) {
	waiting := g.state.waiting() > 0
	g.mu.Unlock()
	if waiting {
		g.handle.family.children.Send(e, wake{})
	}
}
