package cluster

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penstock-go/penstock/store/lease"
)

// state is what a node knows of the cluster and what it does next. It is pure: it is told the time, which is that of the node's own
// machine, and what the store answered.
//
// A node has one call to the store under way at a time. It renews its lease three times in the time of one; after each renewal it
// knows what there is, and takes and gives what the plan says.
type state struct {
	rules  rules
	me     lease.Member
	phase  phase
	until  time.Duration // the end of the lease that was confirmed last, less the margin
	view   lease.View    // of the last renewal
	epochs map[int]int64 // what is owned, by shard
	gained map[int]gain  // how, likewise
	given  map[int]int64 // epochs that are given up, and are never served again: the store may carry out a Give late
	seen   map[int]sight // who owned a shard when it was seen owned last
	heard  map[int]Owner // who says that it has come to own a shard since
	take   []int         // to be taken next
	give   []lease.Shard // to be given up next
	due    time.Duration // when to renew
	calls  bool          // a call is under way
	failed int           // calls in a row that found no store
	err    error         // of the last of them
	since  time.Duration // when the store was there last
	lost   int           // leases that ended before they were renewed
	rash   bool          // it leaves, and must not free all that it owned: see ripe
}

// gain is how a shard was gained: when, from whom if that is proven, and whether there was nobody else.
type gain struct {
	at    time.Duration
	from  Owner
	alone bool
}

// sight is an owner, and when the question was asked whose answer named it.
type sight struct {
	owner Owner
	asked time.Duration
}

// rules are a node's times.
type rules struct {
	lease  time.Duration
	shards int
}

// margin is how much earlier a node stops than its lease ends: for clocks that do not run equally fast.
func (r rules) margin() time.Duration { return r.lease / 10 }

// interval is how often the lease is renewed.
func (r rules) interval() time.Duration { return r.lease / 3 }

// patience is how long a call to the store may take.
func (r rules) patience() time.Duration { return r.lease / 2 }

// pause is how long to wait after the nth failure in a row, so that a store that comes back finds its nodes soon, and not all at
// once.
func (r rules) pause(n int) time.Duration {
	d := min(r.lease/64<<min(n-1, 5), r.interval())
	return d - rand.N(d/2+1)
}

// phase is where a node is in its life.
type phase uint8

const (
	joining phase = iota // has never had a lease, or has lost it
	member
	leaving // its lease is to be ended
	gone
)

// step is a call to the store.
type step uint8

const (
	nothing step = iota
	doRenew
	doTake
	doGive
	doLeave
)

var steps = [...]string{"nothing", "renew", "take", "give", "leave"}

func (s step) String() string { return steps[s] }

func newState(r rules, me lease.Member, now time.Duration) *state {
	return &state{
		rules: r, me: me, due: now, since: now, epochs: make(map[int]int64), gained: make(map[int]gain), given: make(map[int]int64),
		seen: make(map[int]sight), heard: make(map[int]Owner),
	}
}

// serves reports whether the lease lives, as far as the node may rely on it.
func (s *state) serves(now time.Duration) bool { return s.phase == member && now < s.until }

// next says which call is to be made now; with nothing, when to ask again.
func (s *state) next(now time.Duration) (do step, again time.Duration) {
	switch {
	case s.calls || s.phase == gone:
		return nothing, forever
	case s.phase == leaving:
		switch {
		case now < s.due:
			return nothing, s.due
		case s.rash:
			return doGive, 0
		}
		return doLeave, 0
	case now >= s.due:
		return doRenew, 0
	case s.phase == member && len(s.give) > 0:
		return doGive, 0
	case s.phase == member && len(s.take) > 0:
		return doTake, 0
	}
	return nothing, s.due
}

const forever = time.Duration(1<<63 - 1)

// begin notes that a call is under way. What is to be given up is no longer owned from here on.
func (s *state) begin(do step) {
	s.calls = true
	if do != doGive {
		return
	}
	for _, shard := range s.give {
		s.given[shard.Number] = max(s.given[shard.Number], shard.Epoch)
		s.drop(shard.Number)
	}
}

func (s *state) drop(shard int) {
	delete(s.epochs, shard)
	delete(s.gained, shard)
}

func (s *state) own(now time.Duration, shard int, epoch int64) {
	if s.epochs[shard] != epoch {
		s.epochs[shard], s.gained[shard] = epoch, gain{now, s.predecessor(now, shard, epoch), len(s.view.Members) == 1}
	}
}

// ripe reports whether a shard may be freed: nobody frees what it has served for less than a lease, nor loses it earlier by an end of its
// lease. So whoever has seen a shard's owner and takes the shard within a lease of that knows that nobody else has served it in between.
// While there is no other member nobody can have seen anything, within a lease.
func (s *state) ripe(now time.Duration, shard int) bool {
	g, ok := s.gained[shard]
	return !ok || g.alone || now-g.at >= s.rules.lease
}

// predecessor is who has owned a shard directly before it was taken, if that is certain. See ripe; the margin is for clocks that do not
// run equally fast.
func (s *state) predecessor(now time.Duration, shard int, epoch int64) Owner {
	before, ok := s.seen[shard]
	if !ok || before.owner.Epoch >= epoch || now-before.asked >= s.rules.lease-s.rules.margin() {
		return Owner{}
	}
	return before.owner
}

// renewed takes in a renewal that was asked for at a time.
func (s *state) renewed(asked, now time.Duration, v lease.View) {
	s.answered(now)
	if s.phase == leaving {
		return
	}
	s.phase = member
	s.until = asked + s.rules.lease - s.rules.margin()
	s.due = asked + s.rules.interval()
	s.view = v
	mine := make(map[int]int64)
	for _, shard := range v.Shards {
		if shard.Owner == s.me.Name && shard.Number < s.rules.shards {
			mine[shard.Number] = shard.Epoch
		}
	}
	for shard, epoch := range s.epochs {
		if mine[shard] != epoch {
			s.drop(shard)
		}
	}
	s.take, s.give = plan(v, s.me.Name, s.rules.shards)
	for shard, epoch := range mine {
		switch {
		case epoch > s.given[shard]: // taken before, though the answer may have been lost
			s.own(now, shard, epoch)
		case !slices.ContainsFunc(s.give, func(g lease.Shard) bool { return g.Number == shard }):
			// given up before, though the store has not heard of it, or has yet to carry it out
			s.give = append(s.give, lease.Shard{Number: shard, Owner: s.me.Name, Epoch: epoch})
		}
	}
	s.give = slices.DeleteFunc(s.give, func(g lease.Shard) bool { return !s.ripe(now, g.Number) })
	s.look(asked)
}

// look keeps who owns what in the view.
func (s *state) look(asked time.Duration) {
	for _, shard := range s.view.Shards {
		if o, ok := s.viewed(shard.Number); ok {
			s.seen[shard.Number] = sight{o, asked}
			if s.heard[shard.Number].Epoch <= o.Epoch {
				delete(s.heard, shard.Number)
			}
		}
	}
}

// hear takes in that a member says it has come to own a shard.
func (s *state) hear(shard int, o Owner) {
	if known, ok := s.owner(shard); shard >= 0 && shard < s.rules.shards && (!ok || known.Epoch < o.Epoch) {
		s.heard[shard] = o
	}
}

// owner is who owned a shard when the node heard of it last.
func (s *state) owner(shard int) (o Owner, ok bool) {
	if o, ok = s.heard[shard]; ok {
		return o, true
	}
	return s.viewed(shard)
}

func (s *state) viewed(shard int) (o Owner, ok bool) {
	i, ok := slices.BinarySearchFunc(s.view.Shards, shard, func(s lease.Shard, n int) int { return s.Number - n })
	if !ok {
		return o, false
	}
	at := indexOf(s.view.Members, s.view.Shards[i].Owner)
	if at < 0 {
		return o, false
	}
	m := s.view.Members[at]
	return Owner{Name: m.Name, Address: m.Address, Epoch: s.view.Shards[i].Epoch}, true
}

// took takes in what a Take has brought. It is served only when a renewal has shown it, so that the lease lives for all of its time from
// then on: see ripe.
func (s *state) took(now time.Duration, shards []lease.Shard) {
	s.answered(now)
	s.take = nil
	if s.phase == member && len(shards) > 0 {
		s.due = now
	}
}

// gave notes that what was to be given up is free.
func (s *state) gave(now time.Duration) {
	s.answered(now)
	s.give = nil
	if s.phase == leaving {
		s.phase = gone // what was not given is free when the lease has ended
	}
}

// left notes that the lease has been ended.
func (s *state) left() { s.calls, s.phase = false, gone }

// answered notes that the store is there.
func (s *state) answered(now time.Duration) { s.calls, s.failed, s.err, s.since = false, 0, nil, now }

// refused takes in an error. incarnation is the node's next one, should it need one.
func (s *state) refused(now time.Duration, err error, incarnation string) {
	switch {
	case errors.Is(err, lease.ErrLost) && s.phase != leaving:
		s.answered(now)
		s.lost++
		s.me.Incarnation = incarnation
		s.phase, s.due = joining, now
		s.forget()
	default:
		s.calls = false
		s.failed++
		s.err = err
		s.due = now + s.rules.pause(s.failed)
		if s.phase == member {
			s.give, s.take = nil, nil // what there is may have changed: the next renewal tells
		}
	}
}

// forget drops everything that is owned.
func (s *state) forget() {
	clear(s.epochs)
	clear(s.gained)
	clear(s.heard)
	s.until, s.view = 0, lease.View{}
	s.take, s.give = nil, nil
}

// goodbye has the node leave.
func (s *state) goodbye(now time.Duration) {
	if s.phase == gone || s.phase == leaving {
		return
	}
	var ripe []lease.Shard
	for shard, epoch := range s.epochs {
		if s.ripe(now, shard) {
			ripe = append(ripe, lease.Shard{Number: shard, Owner: s.me.Name, Epoch: epoch})
		}
	}
	s.rash = len(ripe) < len(s.epochs)
	s.forget()
	s.phase, s.due, s.give = leaving, now, ripe
}
