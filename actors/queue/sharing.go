package queue

import (
	"cmp"
	"slices"

	"github.com/penstock-go/penstock/actors/sampler"
)

// open prepares a new queue's gate.
func (g *gate) open(q *Queue, r *rules, line Behavior[Ticket], regs []reg, load sampler.Load) {
	g.queue = q
	s := &g.state
	s.line, s.regs, s.tickets, s.held.by = line, regs, &q.room.tickets, -1
	now := q.room.clock.Now()
	s.in.from, s.out.from = now, now
	for i := range s.regs {
		r := &s.regs[i]
		r.claim.of = g
		if r.shared == nil {
			r.acct.correct(now, load)
		} else if !slices.Contains(g.shared, r.shared) {
			g.shared = append(g.shared, r.shared)
		}
	}
	g.sortShared()
	s.settle(r)
}

// sortShared keeps the one order in which all gates lock shared regulators.
func (g *gate) sortShared() {
	slices.SortFunc(g.shared, func(a, b *shared) int { return cmp.Compare(a.order, b.order) })
}

// attach makes the queue known to the regulators that it shares.
func (g *gate) attach() {
	g.lock()
	defer g.unlock(false)
	for _, s := range g.shared {
		s.users[g] = struct{}{}
	}
}

// detach takes a queue that was deleted from the regulators that it shares. What its jobs hold they give back all the same.
func (g *gate) detach() {
	g.lock()
	defer g.unlock(false)
	g.state.withdraw()
	for _, s := range g.shared {
		delete(s.users, g)
	}
}

// forget goes on without a shared regulator that was deleted.
func (g *gate) forget(s *shared) {
	g.lock()
	for i := range g.state.regs {
		if r := &g.state.regs[i]; r.shared == s {
			r.line(0, false)
			r.claim.made = false
			r.gone = true
		}
	}
	g.unlock(true)
}

// share makes a counter of the queue one that others share, by what is given unless it is shared already; nil if there is
// no such counter.
func (g *gate) share(counter string, by *shared) *shared {
	g.lock()
	defer func() { g.unlock(false) }()
	i := slices.Index(g.state.rules.names, counter)
	if i < 0 {
		return nil
	}
	r := &g.state.regs[i]
	if r.shared != nil {
		return r.shared // names of regulators that were shared from the beginning hold a space
	}
	if r.acct.kind() != (Counter{}).kind() {
		return nil
	}
	by.acct, by.users[g] = r.acct, struct{}{}
	by.mu.Lock() // as those that the gate has are: unlock unlocks it
	r.shared = by
	g.state.direct = false
	g.shared = append(g.shared, by)
	g.sortShared()
	return by
}

// refuse lets nothing new in. The first reason stays.
func (g *gate) refuse(reason error) {
	g.lock()
	defer g.unlock(false)
	if g.state.refusal == nil {
		g.state.refusal = reason
		g.state.settle(g.state.rules)
	}
}
