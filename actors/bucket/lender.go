package bucket

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// lender shares out what a bucket's limits can let go among the nodes that want some of it, for one epoch of its owner. It is pure; the
// bucket's gate guards it.
type lender struct {
	epoch     int64
	life      time.Duration // of a slice
	number    uint64        // of the latest slice
	borrowers []borrower    // by name
	lent      []lent        // which may come back, the oldest first
	turn      string        // who had something of what could not be divided last
	short     time.Duration // when somebody got less than it wanted last
	shorted   bool          // there was such a moment
	pace
}

// pace spreads what is lent while more is wanted than the limits let go in the long run, once half of a limit is used up. Else a window's worth would
// go at once whenever it becomes free, to whom wants most at that moment, and nobody would have anything until it is free again.
type pace struct {
	on     bool
	budget float64       // what may be lent now
	since  time.Duration // when that was worked out
}

// advance returns how much of what is there may be lent now; wanted is what all together ask for in a second.
func (p *pace) advance(now time.Duration, is room, wanted, most float64) int {
	if p.on = wanted > is.perSecond && (p.on || is.scarce); !p.on {
		p.budget, p.since = 0, now
		return max(is.now, 0)
	}
	p.budget = min(p.budget+is.perSecond*max(now-p.since, 0).Seconds(), max(most, 1))
	p.since = now
	return min(max(is.now, 0), int(p.budget))
}

// borrower is a node that wants slices.
type borrower struct {
	name  string
	want  int           // more than it has been lent
	rate  float64       // what its callers ask for in a second
	life  uint64        // of the node: it knows nothing of what it said in another one
	stamp time.Duration // its clock, as it said last
	heard time.Duration // when it did
	share int           // what it gets of what there is now
}

// lent is a slice that was lent.
type lent struct {
	to     string
	number uint64
	n      int32
	at     time.Duration // by the owner's clock
}

// loan is a slice that is about to be sent.
type loan struct {
	lent
	epoch int64
	plan  uint64        // whose limits were charged
	life  uint64        // of the borrower
	stamp time.Duration // of its clock: the slice is younger than that
}

// keep is how many lifetimes a slice may come back after it was lent.
const keep = 8

// ask notes how much more a node wants than what it has and what it has been lent in slices that it has not got yet: the latest it got is seen,
// and its clock showed stamp. It reports false if the node has said something newer.
func (l *lender) ask(now time.Duration, name string, want int, rate float64, seen, life uint64, stamp time.Duration) bool {
	i, ok := slices.BinarySearchFunc(l.borrowers, name, func(b borrower, name string) int { return cmp.Compare(b.name, name) })
	if !ok {
		l.borrowers = slices.Insert(l.borrowers, i, borrower{name: name, life: life, stamp: stamp - 1})
	}
	b := &l.borrowers[i]
	if b.life != life {
		b.life, b.stamp = life, stamp-1
	}
	if stamp <= b.stamp {
		return false
	}
	for _, s := range l.lent {
		if s.to == name && s.number > seen && now-s.at < l.life {
			want -= int(s.n)
		}
	}
	b.want, b.rate, b.stamp, b.heard = max(want, 0), rate, stamp, now
	return true
}

// room is what limits let go of requests that cost 1 of everything.
type room struct {
	now       int     // at once
	scarce    bool    // half of some limit is used
	perSecond float64 // in the long run
}

// share divides what there is among those who want some, so that nobody could have more but at the expense of one who has no more than itself (max-min).
// Nobody gets more than it wants; what is left over when all have the same goes in turn.
func (l *lender) share(now time.Duration, is room) (out []loan) {
	l.expire(now)
	var eager []*borrower
	alone, wanted := len(l.borrowers) == 1, 0.0
	for i := range l.borrowers {
		b := &l.borrowers[i]
		wanted += b.rate
		if b.want > 0 {
			eager = append(eager, b)
		}
	}
	if alone {
		wanted = 0 // there is nobody to leave anything to
	}
	room := l.pace.advance(now, is, wanted, is.perSecond*l.life.Seconds())
	byWant := slices.Clone(eager)
	slices.SortFunc(byWant, func(a, b *borrower) int { return cmp.Compare(a.want, b.want) })
	level := 0 // what everybody gets who wants as much
	for i, b := range byWant {
		if level = room / (len(byWant) - i); b.want > level {
			break
		}
		room -= b.want
	}
	for _, b := range eager {
		b.share = min(b.want, level)
		if b.want > level {
			room -= level
		}
	}
	after := slices.IndexFunc(eager, func(b *borrower) bool { return b.name > l.turn })
	for i := range eager {
		if b := eager[(max(after, 0)+i)%len(eager)]; room > 0 && b.want > b.share {
			b.share++
			room--
			l.turn = b.name
		}
	}
	for _, b := range eager {
		if b.want -= b.share; b.want > 0 {
			l.short, l.shorted = now, true
		}
		if b.share > 0 {
			l.number++
			l.budget -= float64(b.share)
			s := lent{to: b.name, number: l.number, n: int32(b.share), at: now}
			l.lent = append(l.lent, s)
			out = append(out, loan{lent: s, epoch: l.epoch, life: b.life, stamp: b.stamp})
		}
	}
	return out
}

// expire forgets what is too old to matter.
func (l *lender) expire(now time.Duration) {
	l.borrowers = slices.DeleteFunc(l.borrowers, func(b borrower) bool { return now-b.heard >= keep*l.life })
	for i := range l.borrowers {
		if b := &l.borrowers[i]; now-b.heard >= l.life { // what is lent on this would have ended before it came
			b.want, b.rate = 0, 0
		}
	}
	l.lent = slices.DeleteFunc(l.lent, func(s lent) bool { return now-s.at >= keep*l.life })
}

// repay takes back what was not used of a slice, once, and returns how much that is and when it was lent.
func (l *lender) repay(from string, number uint64, n int32) (back int32, at time.Duration) {
	i := slices.IndexFunc(l.lent, func(s lent) bool { return s.number == number && s.to == from })
	if i < 0 {
		return 0, 0
	}
	s := l.lent[i]
	l.lent = slices.Delete(l.lent, i, i+1)
	back = max(min(n, s.n), 0)
	l.budget += float64(back)
	return back, s.at
}

// contested reports whether somebody got less than it wanted within the last lifetime of a slice: then the owner's own callers, too, have
// no more than their share.
func (l *lender) contested(now time.Duration) bool { return l.shorted && now-l.short < l.life }

// alone reports whether nobody else wants anything.
func (l *lender) alone(name string) bool {
	return !slices.ContainsFunc(l.borrowers, func(b borrower) bool { return b.name != name })
}

// idle reports whether nobody wants anything, and nothing can come back.
func (l *lender) idle(now time.Duration) bool {
	l.expire(now)
	return len(l.borrowers) == 0 && len(l.lent) == 0
}

// sustained is how many requests that cost 1 of everything the limits let go in a second, in the long run.
func sustained(p *limit.Plan) float64 {
	rate := math.Inf(1)
	for _, l := range p.Limits() {
		per := l.Per
		if l.Algorithm == limit.Rolling {
			per += p.Slack()
		}
		rate = min(rate, float64(l.Events)/per.Seconds())
	}
	return rate
}

// roomOf is what there is of the limits under a ceiling.
func roomOf(s *limit.Set, now time.Time, ceiling *limit.Costs) room {
	r := room{now: maxSlice, perSecond: sustained(s.Plan())}
	for i := range s.Plan().Len() {
		used, most := s.Used(now, i), int(ceiling[i])
		r.now = min(r.now, most-used)
		r.scarce = r.scarce || 2*used > most
	}
	return r
}
