package queue

import (
	"time"

	"github.com/penstock-go/penstock/limit"
)

// Queues that share regulators must neither starve one another nor wait for one another in a circle. Each queue has one
// request that is next, its head; and a head that finds a shared regulator without room claims it:
//
//   - A claim is a place in the regulator's line. Who is not at its front may not take, not even through a gate that has
//     room. So a queue of many small jobs does not starve one of large jobs.
//   - A head has one ticket, the room's next number, for all its claims, and lines are in the order of tickets. The oldest
//     ticket is thus at the front wherever it stands, so there is no circle. After its turn a queue gets a new ticket: the
//     queues take turns.
//   - A head that claimed one regulator, finds room there and lacks another one now, keeps the room for itself only for a
//     moment, and then lets others have it for as long; each time it holds out twice as long. If it never held, two
//     regulators that are free in turn could starve it; if it held until it went, one slow job elsewhere would stop
//     everybody.
const firstHold = 100 * time.Millisecond

// claim is a queue's place in the line of a shared regulator.
type claim struct {
	limit.Turn
	of     *gate // whose claim it is
	ticket uint64
	made   bool // the head has found the regulator without room since its last turn
	inLine bool // it stands in the line, and so keeps out those behind it
	told   bool // it has looked since it came to the front
	hold   hold

	least, all int // of a clustered regulator: what the head wants, it alone and with those behind it
}

// hold is whether a head keeps the room that a regulator has while it lacks another one.
type hold struct {
	span   time.Duration // how long this turn lasts; 0: it has not come to it
	until  time.Time
	active bool
}

// turn begins the next turn if this one is over.
func (h *hold) turn(now time.Time) {
	switch {
	case h.span == 0:
		*h = hold{span: firstHold, until: now.Add(firstHold), active: true}
	case now.Before(h.until):
	case h.active:
		h.active, h.until = false, now.Add(h.span)
	default:
		h.span = min(2*h.span, maxHold)
		h.active, h.until = true, now.Add(h.span)
	}
}

// maxHold keeps the doubling from overflowing; nothing that long is ever held.
const maxHold = 1000 * time.Hour

// barred reports whether others go first at a shared regulator: an older ticket is in its line.
func (r *reg) barred(ticket uint64) bool {
	if r.shared == nil {
		return false
	}
	front, ok := r.acct.line.Peek()
	return ok && front != &r.claim && (ticket == 0 || front.ticket < ticket)
}

// fits reports whether a job of this cost may go now, as far as the regulators are concerned. It claims nothing.
func (s *state) fits(now time.Time, cost int) bool { return s.lacking(now, cost) < 0 }

// lacking is the first regulator without room for a job of this cost; -1 if all have. It is on the way of every pass, and so
// it looks at counters without a call.
func (s *state) lacking(now time.Time, cost int) int {
	for i := range s.regs {
		r := &s.regs[i]
		switch a := r.acct; {
		case r.gone:
		case a.rate != nil && a.rate.Wait(now, cost) > 0,
			a.rate == nil && r.increment*cost > a.counter.Limit()-a.counter.Used(),
			r.barred(s.ticket):
			return i
		}
	}
	return -1
}

// await is how long until the head, of this cost, may find room, 0 if it has; limit.Never if that takes somebody to give
// something back. It claims the shared regulators that have none, and notes which regulator does so longest.
func (s *state) await(now time.Time, cost int) time.Duration {
	var lacks [maxRegulators]bool
	own, first := time.Duration(0), limit.Never
	held, longest := -1, time.Duration(0)
	for i := range s.regs {
		r := &s.regs[i]
		if r.gone {
			continue
		}
		w, barred := r.acct.wait(now, r.acct.need(r.increment, cost)), r.barred(s.ticket)
		if w == 0 && !barred {
			continue
		}
		lacks[i] = true
		switch {
		case r.shared == nil:
			own = max(own, w)
		case !barred:
			first = min(first, w)
		}
		if barred {
			w = limit.Never
		}
		if w > longest {
			held, longest = i, w
		}
	}
	s.holdBack(now, held)
	switch {
	case held < 0:
		return 0
	case own > 0: // what it lacks is its own: it does not stand in others' way
		s.withdraw()
		return own
	}
	if s.lent {
		s.want(cost)
	}
	return min(first, s.stand(now, cost, &lacks))
}

// stand brings the head's claims up to date, of which lacks says where it found no room, and returns how long until a
// hold begins or ends.
func (s *state) stand(now time.Time, cost int, lacks *[maxRegulators]bool) time.Duration {
	if s.ticket == 0 {
		s.ticket = s.tickets.Add(1)
	}
	stalled := s.stalled(now, cost, lacks)
	next := limit.Never
	for i := range s.regs {
		r := &s.regs[i]
		if r.shared == nil || r.gone {
			continue
		}
		c := &r.claim
		in := false
		switch {
		case lacks[i]:
			c.made = true
			in = r.acct.enough(r.acct.need(r.increment, cost))
		case c.made && !stalled:
			c.hold.turn(now)
			in = c.hold.active
			next = min(next, c.hold.until.Sub(now))
		}
		r.line(s.ticket, in)
		c.told = true // it has just looked
	}
	return next
}

// stalled reports whether the head will not go soon whatever others do.
func (s *state) stalled(now time.Time, cost int, lacks *[maxRegulators]bool) bool {
	for i := range s.regs {
		if !lacks[i] {
			continue
		}
		acct, n := s.regs[i].acct, s.regs[i].acct.need(s.regs[i].increment, cost)
		if w := acct.wait(now, n); !acct.enough(n) || w != limit.Never && w > firstHold {
			return true
		}
	}
	return false
}

// line puts the claim in its regulator's line, or takes it out.
func (r *reg) line(ticket uint64, in bool) {
	if in == r.claim.inLine {
		return
	}
	r.claim.inLine = in
	if !in {
		front, _ := r.acct.line.Peek()
		r.acct.line.Remove(&r.claim)
		if front == &r.claim {
			r.acct.touch() // who is at the front now has not looked yet
		}
		return
	}
	r.claim.ticket = ticket
	r.acct.line.Push(&r.claim, 0, ticket)
}

// want has the owners of clustered regulators know what the head wants, of cost, and those behind it.
func (s *state) want(cost int) {
	for i := range s.regs {
		r := &s.regs[i]
		if r.acct.loan == nil || r.gone {
			continue
		}
		n := r.acct.need(r.increment, cost)
		r.acct.want(&r.claim, n, n+r.increment*min(s.waiting-1, maxCost))
	}
}

// fence takes away what is no longer good of clustered regulators.
func (s *state) fence(now time.Time) {
	for i := range s.regs {
		if r := &s.regs[i]; r.acct.loan != nil {
			r.acct.fence(now)
		}
	}
}

// away is the index of a clustered regulator of which nobody is to wait for the owner, who is away; or -1.
func (s *state) away(now time.Time, cost int) int {
	for i := range s.regs {
		r := &s.regs[i]
		if b := r.acct.loan; b != nil && b.away && b.refuse && !r.gone && r.acct.wait(now, r.acct.need(r.increment, cost)) > 0 {
			return i
		}
	}
	return -1
}

// withdraw takes back all claims: the head went, or there is none.
func (s *state) withdraw() {
	if s.lent {
		for i := range s.regs {
			if r := &s.regs[i]; r.acct.loan != nil {
				r.acct.want(&r.claim, 0, 0)
			}
		}
	}
	if s.ticket == 0 {
		return
	}
	for i := range s.regs {
		r := &s.regs[i]
		if r.shared != nil {
			r.line(0, false)
			r.claim.made, r.claim.hold = false, hold{}
		}
	}
	s.ticket = 0
}

// callers are the gates of queues that are at the front of a regulator's line and do not know yet how it stands.
func (s *state) callers(self *gate, list []*gate) []*gate {
	for i := range s.regs {
		if r := &s.regs[i]; r.shared != nil {
			list = r.acct.caller(self, list)
		}
	}
	return list
}

// caller appends the gate at the front of the line if it is to be told, and notes that it was.
func (a *account) caller(self *gate, list []*gate) []*gate {
	if front, ok := a.line.Peek(); ok && !front.told && front.of != self {
		front.told = true
		list = append(list, front.of)
	}
	return list
}
