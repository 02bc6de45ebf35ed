package pool

import (
	"slices"

	"github.com/penstock-go/penstock/limit"
)

// state is one pool's account: what is taken of it, and which claims wait for it. A claim takes of several pools, so the
// states of pools that delegate to one another change together, under one lock: see group.
type state struct {
	gate       *gate // whose it is
	maxWorkers int
	maxMemory  int64
	maxStuck   int
	workers    int                // that are taken, those of claims included that wait for a pool further up
	memory     int64              // likewise, in bytes
	stuck      int                // of the workers: functions that ignore the end of their context
	line       limit.Fair[*place] // claims that hold every pool before this one, and wait for this one
	waiting    int                // claims that asked this pool and wait, here or further up
	draining   bool               // nobody is let in, for a time
	shut       bool               // nobody new is let in; who waits still is
	ended      bool               // nobody is let in any more
	far        bool               // it stands for a pool of another node, which has limits of its own
}

// lacks is what the pool has too little of for a claim, or accepted if it has room.
func (s *state) lacks(memory int64) Reason {
	switch {
	case s.workers < s.maxWorkers && memory <= s.maxMemory-s.memory && s.stuck < s.maxStuck && !s.draining && !s.ended:
		return accepted
	case s.ended:
		return Closed
	case s.draining:
		return Draining
	case s.stuck >= s.maxStuck:
		return TooManyStuck
	case s.workers >= s.maxWorkers:
		return NoWorkers
	}
	return NoMemory
}

// keepsOut is why somebody new cannot take of the pool now: for want of room, or because others wait for it already.
func (s *state) keepsOut(memory int64) Reason {
	if s.shut {
		return Closed
	}
	why := s.lacks(memory)
	if why == accepted && s.line.Len() > 0 {
		head, _ := s.line.Peek()
		if why = s.lacks(head.claim.memory); why == accepted { // its actor has not come round to it
			why = NoWorkers
		}
	}
	return why
}

// still reports whether nothing runs any more that could end: what is left is stuck.
func (s *state) still() bool { return s.workers == s.stuck }

func (s *state) take(memory int64) {
	s.workers++
	s.memory += memory
}

func (s *state) give(memory int64) {
	s.workers--
	s.memory -= memory
}

// route is pools that a task takes of: the one that was asked, the one that delegates to, and so on up.
type route []*state

// claim is what a task asks for, and what it holds. It takes the pools of a route one by one, from the asked one up, and
// holds those that it has while it waits for the next: so nobody who asks for much is passed by for ever, and since every
// claim goes up, no two wait for each other.
type claim struct {
	job    *job
	memory int64
	nice   int
	seq    uint64   // the order of coming
	routes []route  // that are still open to it, the one to be tried first in front; all begin with the pools that it holds
	held   int      // how many pools of them it holds
	places []*place // where it waits
	trip   *trip    // of one that may go to pools of other nodes; else nil
}

// place is where a claim waits for one pool: several at once if it has the choice.
type place struct {
	limit.Slot
	claim *claim
	state *state
}

// stir collects pools whose actors are to look whether somebody can be let in.
type stir []*state

func (w *stir) add(s *state) {
	if s.line.Len() > 0 && !slices.Contains(*w, s) {
		*w = append(*w, s)
	}
}

// asked is the pool that the claim was made to.
func (c *claim) asked() *state { return c.routes[0][0] }

// holds are the pools that the claim has taken of.
func (c *claim) holds() route { return c.routes[0][:c.held] }

// through reports whether the claim holds room in the pool or waits for it there, having asked it or one below it.
func (c *claim) through(s *state) bool {
	return c.asked() == s || slices.Contains(c.holds(), s) || c.waitsFor(s)
}

// mayNeed reports whether the pool is on a route that is open to the claim.
func (c *claim) mayNeed(s *state) bool {
	return slices.ContainsFunc(c.routes, func(r route) bool { return slices.Contains(r, s) })
}

// waitsFor reports whether the claim is in the pool's line.
func (c *claim) waitsFor(s *state) bool {
	return slices.ContainsFunc(c.places, func(p *place) bool { return p.state == s })
}

// loses has the claim, which waits, do without a pool that has ended, and reports whether it has no way left then.
func (c *claim) loses(s *state) bool {
	if slices.Contains(c.holds(), s) {
		return true
	}
	c.places = slices.DeleteFunc(c.places, func(p *place) bool { return p.state == s && s.line.Remove(p) })
	return len(c.places) == 0 || c.hopeless()
}

// pass takes the first route that has room in every pool, all of it at once. If there is none nothing has been taken; at is
// a pool without room and why what it lacks.
func (c *claim) pass() (at *state, why Reason) {
	for i, r := range c.routes {
		var s *state
		out := accepted
		for _, s = range r {
			if out = s.keepsOut(c.memory); out != accepted {
				break
			}
		}
		if out == accepted {
			for _, s = range r {
				s.take(c.memory)
			}
			c.routes, c.held = c.routes[i:i+1], len(r)
			return nil, accepted
		}
		if at == nil || why == Closed { // closed pools are passed by: another one's reason tells more
			at, why = s, out
		}
	}
	return at, why
}

// hopeless reports whether no route could carry the claim even if nothing ran.
func (c *claim) hopeless() bool { return !slices.ContainsFunc(c.routes, c.possible) }

// possible reports whether the rest of a route could carry the claim if nothing ran. One that cannot is not begun: further up
// there would be no way on, and the claim would be off the others.
func (c *claim) possible(r route) bool {
	return !slices.ContainsFunc(r[c.held:], func(s *state) bool { return s.ended || c.memory > s.maxMemory })
}

// climb takes what the claim can have, pool by pool, and has it get in line where it can go no further. It reports whether
// the claim holds a whole route now. If it neither does nor waits, it has no way left.
func (c *claim) climb(w *stir) (whole bool) {
	for c.held < len(c.routes[0]) {
		s := c.next()
		if s == nil {
			c.queue(w)
			return false
		}
		s.take(c.memory)
		c.choose(s)
	}
	return true
}

// next is a pool, among those that come next on the claim's routes, which has room for it and nobody waiting.
func (c *claim) next() *state {
	for _, r := range c.routes {
		if s := r[c.held]; s.line.Len() == 0 && s.lacks(c.memory) == accepted && c.possible(r) {
			return s
		}
	}
	return nil
}

// choose goes on by the routes whose next pool is s, of which the claim has just taken.
func (c *claim) choose(s *state) {
	first := slices.IndexFunc(c.routes, func(r route) bool { return r[c.held] == s })
	last := first + 1
	for last < len(c.routes) && c.routes[last][c.held] == s {
		last++
	}
	c.routes = c.routes[first:last]
	c.held++
}

// queue puts the claim in line at every pool that could come next.
func (c *claim) queue(w *stir) {
	for _, r := range c.routes {
		s := r[c.held]
		if !c.possible(r) || c.waitsFor(s) {
			continue
		}
		p := &place{claim: c, state: s}
		c.places = append(c.places, p)
		s.line.Push(p, limit.Position{Rank: int64(c.nice), Flow: c.flow(), Seq: c.seq})
		w.add(s) // it may be the most urgent now, and fit
	}
}

// flow is what the claim shares its turns with: whatever comes from the same pool below.
func (c *claim) flow() string {
	if c.held == 0 {
		return ""
	}
	return c.routes[0][c.held-1].gate.pool.name
}

// leaveLines takes the claim out of every line that it waits in.
func (c *claim) leaveLines(w *stir) {
	for _, p := range c.places {
		if p.state.line.Remove(p) {
			w.add(p.state) // the next one may fit where this one did not
		}
	}
	c.places = nil
}

// drop takes the claim out of the lines, and gives back what it holds.
func (c *claim) drop(w *stir) {
	c.leaveLines(w)
	for _, s := range c.holds() {
		s.give(c.memory)
		w.add(s)
	}
	c.held = 0
}

// advance lets the head of the pool's line have its turn, if there is room. It reports which claim that was, and whether it
// holds all that it needs; nil if there is nothing to do.
func (s *state) advance(w *stir) (c *claim, whole bool) {
	head, ok := s.line.Peek()
	if !ok || s.lacks(head.claim.memory) != accepted {
		return nil, false
	}
	s.line.Pop()
	c = head.claim
	c.leaveLines(w)
	s.take(c.memory)
	c.choose(s)
	return c, c.climb(w)
}
