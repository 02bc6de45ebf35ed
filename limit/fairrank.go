package limit

import "maps"

// Bounds of what is pushed into a Fair. They keep the credit of a turn, and the
// sum of millions of paces, within an int64.
const (
	maxFairCost   = 1<<31 - 1
	maxFairWeight = 1_000_000
)

// rank is the flows of one rank that have something waiting. They stand in a
// ring, and cur is the one whose turn it is: its credit suffices for its head,
// always, so that to look who is next changes nothing. From cur on follow those
// still to come in this round, then those that had their turn, then the new ones.
type rank struct {
	number int64
	order  *order
	cur    *flow
	flows  int
	byName map[string]*flow // all flows, but not one that joined alone
	peak   int              // most flows since the map was made: it never shrinks
	left   int              // flows still to come in this round, after cur
	among  int              // flows when this round began
	round  uint64           // number of this round
	credit int64            // what this round gives for each unit of weight
	pace   int64            // sum of the flows'
}

// flow is what waits of one flow.
type flow struct {
	name       string
	listed     bool // in the rank's byName
	rank       *rank
	prev, next *flow // in the ring; next alone in a list of spares
	items      chain
	weight     int64
	credit     int64  // what it may still take in its turn, and takes along to the next
	owed       int64  // credit put by when something gave up; it comes back by and by
	served     uint64 // round in which it was served last
	round      uint64 // of its latest turn, or in which it joined: no other follows in that round
	pace       int64  // how many of its head a credit of 1 pays for, in units of 1/unitPace
}

// Paces are fixed-point numbers, so that their sum is exact after any number of
// changes. Beyond maxPace there is nothing to be gained: a round gives a credit
// of at least 1 anyway.
const (
	unitPace = 1 << 32
	maxPace  = unitPace << 8
)

// first is what goes first of a flow.
func (f *flow) first(o *order) *Slot {
	if o.newest {
		return f.items.last
	}
	return f.items.first
}

// head is what goes first of the rank.
func (r *rank) head() *Slot { return r.cur.first(r.order) }

// push puts s into the flow called name, which joins if it had nothing waiting,
// and gives the flow back what s has cost it before.
func (r *rank) push(s *Slot, name string, weight, back int64, spares *spares) {
	f := r.find(name)
	if f == nil {
		f = spares.flow()
		f.name, f.rank = name, r
		r.join(f)
	}
	s.flow = f
	f.weight = weight
	f.credit += back
	f.items.insert(byFlow, s)
	r.reckon(f)
	r.settle()
}

// find returns the flow called name, or nil.
func (r *rank) find(name string) *flow {
	if r.cur != nil && r.cur.name == name {
		return r.cur
	}
	return r.byName[name]
}

// join puts f at the end of the round.
func (r *rank) join(f *flow) {
	r.flows++
	f.round = r.round
	if r.cur == nil {
		f.prev, f.next = f, f
		r.cur = f
		return
	}
	f.prev, f.next = r.cur.prev, r.cur
	f.prev.next, f.next.prev = f, f
	r.list(r.cur)
	r.list(f)
}

// list makes f known by its name.
func (r *rank) list(f *flow) {
	if f.listed {
		return
	}
	if r.byName == nil {
		r.byName = make(map[string]*flow)
	}
	r.byName[f.name], f.listed = f, true
	r.peak = max(r.peak, len(r.byName))
}

// delete takes s out, and its flow out of the round if nothing is left of it.
// What was served is charged to the flow.
func (r *rank) delete(s *Slot, served bool, spares *spares) {
	f := s.flow
	f.items.delete(byFlow, s)
	if served {
		f.credit -= s.cost
		f.served = r.round
	}
	if f.items.first == nil {
		r.leave(f)
		spares.keepFlow(f)
	} else {
		r.reckon(f)
		if !served {
			r.putBy(f, s)
		}
	}
	r.settle()
}

// leave takes f out of the ring.
func (r *rank) leave(f *flow) {
	r.flows--
	r.pace -= f.pace
	if f.round != r.round {
		r.left--
	}
	f.prev.next, f.next.prev = f.next, f.prev
	switch {
	case f.next == f:
		r.cur = nil
	case f == r.cur:
		r.cur = f.prev
		r.turn()
	}
	if f.listed {
		delete(r.byName, f.name)
		r.shrink()
	}
}

// shrink gives the memory of a map back that held many more flows.
func (r *rank) shrink() {
	n := len(r.byName)
	if r.peak <= spareFlows || n > r.peak/4 {
		return
	}
	byName := make(map[string]*flow, n)
	maps.Copy(byName, r.byName)
	r.byName, r.peak = byName, n
}

// reckon brings the paces up to date with f's weight and head.
func (r *rank) reckon(f *flow) {
	pace := min(f.weight*unitPace/f.first(r.order).cost, maxPace)
	r.pace += pace - f.pace
	f.pace = pace
}

// putBy takes from f's credit what was saved up for s, which gave up: what is
// more than f could have with the head that it has now. Whoever joined meanwhile
// must not wait until cheap ones have used that up. A credit of more than twice
// what s costs was not for s. What f has not used it is still owed, but not if no
// other flow was there to be served in its place.
func (r *rank) putBy(f *flow, s *Slot) {
	extra := min(f.credit-f.first(r.order).cost-r.due()*f.weight, 2*s.cost)
	if extra <= 0 {
		return
	}
	f.credit -= extra
	if r.among > 1 {
		f.owed = min(f.owed+extra, maxFairCost)
	}
}

// settle passes the turn on until it is with a flow whose credit suffices for
// its head. What a flow is owed may pay for the first that goes in its turn: no
// flow is passed over, and given more, that has enough for its head.
func (r *rank) settle() {
	for r.cur != nil {
		f := r.cur
		lack := r.head().cost - f.credit
		if lack <= 0 {
			return
		}
		if lack <= f.owed && f.served != r.round {
			f.credit += lack
			f.owed -= lack
			return
		}
		r.turn()
	}
}

// due is what a round should give for each unit of weight. Whatever that is, it
// is fair, for all get the same. With the harmonic mean of what the heads cost
// by weight about one a flow can go, and a few that cost a lot do not change
// that. With less, flows would be passed over in vain; with more, one that comes
// would wait longer.
func (r *rank) due() int64 { return max(int64(r.flows)*unitPace/r.pace, 1) }

// turn gives the next flow its turn. Of what the flow is owed it gets as much
// as the round gives, so that a turn is at most twice as long for it.
func (r *rank) turn() {
	if r.left == 0 {
		r.round++
		r.left = r.flows
		r.among = r.flows
		r.credit = r.due()
	}
	r.left--
	f := r.cur.next
	r.cur = f
	f.round = r.round
	gift := r.credit * f.weight
	back := min(f.owed, gift)
	f.owed -= back
	f.credit += gift + back
}

// reorder goes over to another order inside the flows.
func (r *rank) reorder() {
	for f, i := r.cur, 0; i < r.flows; f, i = f.next, i+1 {
		r.reckon(f)
	}
	r.settle()
}
