package queue

import (
	"math"
	"slices"
	"time"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// A regulator that is the whole cluster's has one owner, which lends every node a part of it: so much of a counter, for as long as the
// node keeps in touch; so many permits of a rate, to be used at once. A node's account of it holds what was lent, and is otherwise as any
// shared one. See docs/adr/0036-clustered-regulators.md.
//
// All messages may be lost, come twice, or late: reports and loans have numbers, and say how things stand and not what has changed.

// How long loans are good for. By its own clock a node lets nothing new go of a counter once the owner has not confirmed for fenceAfter what
// the node said then; and after goneAfter the owner lends it to others. A job that takes no longer than what lies between runs in nobody's way.
const (
	fenceAfter  = 2 * time.Second
	goneAfter   = 3 * time.Second
	permitLife  = 40 * time.Millisecond // how long a rate's permit may be under way and lie around; the owner counts it for so much longer
	awayAfter   = time.Second           // without an answer the owner is away
	reportSoon  = time.Millisecond      // between two reports, whatever there is to say
	reportOften = 50 * time.Millisecond
	reportAgain = 200 * time.Millisecond // what was lost is said again
	reportBeat  = 500 * time.Millisecond // and what has not changed
)

// report is what a node says of what it has and wants.
type report struct {
	life   uint64 // of the node's account, a random number
	number uint64 // grows with each report of a life
	clock  int64  // when it was made, in nanoseconds of the node's clock; it comes back with loans
	epoch  int64  // whose loans the node takes in
	loan   uint64 // the latest that it has taken in
	limit  int    // of a counter: what it has
	used   int    // of a counter: what jobs hold
	want   int    // of a counter: what it would use, with what it uses; of a rate: how many permits more
	least  int    // how much of that would help
	spent  uint64 // of a counter: jobs let go; of a rate: permits used
	idle   bool   // of a rate: it has none, and of those lent before it will use no more
	gone   bool   // the node has not got the regulator, and this is the last of this life
}

// loan is what the owner says to a node.
type loan struct {
	life   uint64 // whom it is for; 0 in a greeting: whoever is there
	epoch  int64
	number uint64
	clock  int64         // of the latest report
	limit  int           // of a counter: what the node may use in all; of a rate: permits more
	held   time.Duration // of a rate: how long after that report came the permits were let go
	most   int           // of a counter: the limit in force for all nodes together
	hello  bool          // a greeting of a new owner, which knows nothing yet: the node is to report
}

// round of a loan's number is which of its epoch's owners sent it: an owner that was deleted and added again begins anew.
func round(number uint64) uint64 { return number >> roundShift }

const roundShift = 40

// borrowed is what a node has of a clustered regulator, beside its account. It is guarded as that is.
type borrowed struct {
	paced  bool // a rate
	life   uint64
	start  time.Time // clocks count from here
	epoch  int64
	number uint64 // of the latest loan taken in

	until time.Time // of a counter: when what it has is no longer good
	most  int       // of a counter: the limit for all nodes together
	hand  []permits // of a rate
	spent uint64

	wanting map[*claim]struct{} // heads that want of it
	told    report              // the last one
	at      time.Time           // when it was made
	coming  int                 // permits wanted then that have not come
	asked   time.Time           // since when the owner owes an answer; zero: it does not
	owed    bool                // the owner is owed a report
	back    bool                // the owner has something back, since the last report: a lower limit is in force, or permits came to nothing
	stirred bool                // something has changed that a report may be about
	woken   bool                // whoever reports has been called
	away    bool                // the owner does not answer
	refuse  bool                // then nobody waits
	ended   bool                // the last report has been made
	share   float64             // then so much of the rate may go
}

// permits are a rate's, from one loan.
type permits struct {
	n     int
	until time.Time
}

// lend makes an account that has nothing but what is lent to it.
func (a *account) lend(now time.Time, life uint64) {
	b := &borrowed{paced: a.rate != nil, life: life, start: now, wanting: make(map[*claim]struct{})}
	b.most = int(min(a.preset, math.MaxInt32))
	a.loan, a.rate, a.counter = b, nil, limit.Counter{}
}

// fence takes away what is no longer good.
func (a *account) fence(now time.Time) {
	b := a.loan
	if !b.paced {
		if a.counter.Limit() > 0 && !now.Before(b.until) {
			_ = a.counter.SetLimit(0)
		}
		return
	}
	left := 0
	b.hand = slices.DeleteFunc(b.hand, func(p permits) bool {
		over := !now.Before(p.until)
		if !over {
			left += p.n
		}
		return over
	})
	if left < a.counter.Limit() {
		_ = a.counter.SetLimit(left)
		b.back, b.stirred = true, true
	}
}

// spend counts what was taken of the loan.
func (a *account) spend(n int) {
	b := a.loan
	if !b.paced {
		b.spent++
		return
	}
	a.counter.Give(n) // permits are used up
	b.spent += uint64(n)
	for n > 0 && len(b.hand) > 0 {
		p := &b.hand[0]
		used := min(n, p.n)
		p.n -= used
		n -= used
		_ = a.counter.SetLimit(a.counter.Limit() - used)
		if p.n == 0 {
			b.hand = b.hand[1:]
		}
	}
}

// unspend notes that permits came to nothing: whoever they were for had given up. The owner lets them go anew.
func (a *account) unspend(n int) {
	b := a.loan
	b.spent -= min(uint64(n), b.spent)
	b.back, b.stirred = true, true
}

// judge finds out whether the owner is away and, if there is a local share for that, puts it in force. It reports whether that has changed,
// and how long until it may.
func (a *account) judge(now time.Time) (changed bool, next time.Duration) {
	b, next := a.loan, limit.Never
	away := false
	if !b.asked.IsZero() {
		if next = b.asked.Add(awayAfter).Sub(now); next <= 0 {
			away, next = true, limit.Never
		}
	}
	if changed = away != b.away; changed {
		b.away, a.rate = away, nil
		if away && b.share > 0 {
			a.rate, _ = limit.NewRate(a.localRate())
			a.rate.Take(now, now, max(int(a.rate.PerSecond()), 1)) // it may have been let go just now
		}
	}
	if a.rate != nil {
		_ = a.rate.Set(now, a.localRate())
	}
	return changed, next
}

// localRate is what the node may let go by itself.
func (a *account) localRate() float64 {
	if r := a.inForce() * a.loan.share; r > 0 {
		return max(r, minRate)
	}
	return 0
}

// policy puts what is configured for an absence of the owner in force.
func (b *borrowed) policy(r Regulator) {
	switch r := r.(type) {
	case Rate:
		b.refuse, b.share = r.Away == cluster.Refuse, r.LocalShare
	case Counter:
		b.refuse = r.Away == cluster.Refuse
	}
}

// farewell is the last report.
func (a *account) farewell() report {
	b := a.loan
	_ = a.counter.SetLimit(0)
	b.hand, b.ended = nil, true
	b.told = report{life: b.life, number: b.told.number + 1, epoch: b.epoch, loan: b.number, spent: b.spent, idle: true, gone: true}
	return b.told
}

// want notes what a head wants of the regulator, it alone and with those behind it; 0 and 0 when it no longer does.
func (a *account) want(c *claim, least, all int) {
	if c.least == least && c.all == all {
		return
	}
	c.least, c.all = least, all
	if all > 0 {
		a.loan.wanting[c] = struct{}{}
	} else {
		delete(a.loan.wanting, c)
	}
	a.loan.stirred = true
}

// demand is what all heads want, as reports say it.
func (a *account) demand() (want, least int) {
	for c := range a.loan.wanting {
		want = min(want+c.all, math.MaxInt32/2)
		if least == 0 || c.least < least {
			least = c.least
		}
	}
	if front, ok := a.line.Peek(); ok && front.all > 0 {
		least = front.least
	}
	if a.loan.paced {
		want = max(want-a.counter.Limit(), 0)
		return want, min(max(least-a.counter.Limit(), 1), want)
	}
	return want + a.counter.Used(), least + a.counter.Used()
}

// report is what the owner is to hear now; else next is how long until there may be something to say.
func (a *account) report(now time.Time) (r report, ok bool, next time.Duration) {
	b := a.loan
	a.fence(now)
	b.stirred = false
	want, least := a.demand()
	next = limit.Never
	for _, p := range b.hand {
		next = min(next, p.until.Sub(now))
	}
	due := a.due(now, want, least)
	if due.IsZero() {
		return r, false, next
	}
	if due.After(now) {
		return r, false, min(next, due.Sub(now))
	}
	b.told = report{
		life: b.life, number: b.told.number + 1, clock: int64(now.Sub(b.start)), epoch: b.epoch, loan: b.number,
		used: a.counter.Used(), want: want, least: least, spent: b.spent,
	}
	if b.paced {
		b.told.idle = a.counter.Limit() == 0
	} else {
		b.told.limit = a.counter.Limit()
	}
	b.at, b.coming, b.owed, b.back = now, want, false, false
	if b.asked.IsZero() {
		b.asked = now
	}
	return b.told, true, 0
}

// due is when the owner is to hear something; zero: there is nothing to say.
func (a *account) due(now time.Time, want, least int) time.Time {
	b := a.loan
	if b.ended {
		return time.Time{}
	}
	had := a.counter.Limit()
	lacks, missed := want > had, b.told.want > had // now, and when it was said
	if b.paced {
		lacks, missed = want > 0, b.coming > 0
	}
	changed := want != b.told.want || least != b.told.least
	freed := !b.paced && had < b.told.used && a.counter.Used() < b.told.used
	switch {
	case b.owed:
		return now
	case lacks && !missed, freed, b.back:
		return b.at.Add(reportSoon)
	case (lacks || missed) && changed:
		return b.at.Add(reportOften)
	case lacks:
		return b.at.Add(reportAgain)
	case b.paced && b.told.number > 0 && (!b.told.idle || b.spent != b.told.spent):
		return b.at.Add(reportOften) // it will use no more of what was lent
	case !b.paced && (had > 0 || a.counter.Used() > 0 || b.told.used > 0 || b.told.limit > 0):
		return b.at.Add(reportBeat)
	}
	b.asked = time.Time{} // whatever it was, nobody needs the answer
	return time.Time{}
}

// takeIn takes in what the owner says, and reports whether there is more than before. Of a counter nothing is good for longer than left, which
// is how long the node is still a member.
func (a *account) takeIn(now time.Time, l loan, left time.Duration) (more bool) {
	b := a.loan
	known := l.epoch == b.epoch && round(l.number) == round(b.number)
	switch {
	case b.ended, l.life != b.life && !(l.hello && l.life == 0):
		return false // it is for an account that was here before
	case l.hello && (l.epoch > b.epoch || l.epoch == b.epoch && l.number > b.number):
		b.epoch, b.number = l.epoch, l.number
		b.owed, b.asked = true, time.Time{}
		return false
	case l.hello:
		b.owed = b.owed || known // the report got lost
		return false
	case !known || l.number < b.number:
		return false
	}
	b.asked = time.Time{}
	b.most = l.most
	said := b.start.Add(time.Duration(l.clock))
	fresh := l.number > b.number
	b.number = l.number
	if !b.paced {
		if until := said.Add(fenceAfter); until.After(b.until) {
			b.until = until
		}
		if end := now.Add(left); end.Before(b.until) {
			b.until = end
		}
		if before := a.counter.Limit(); fresh {
			_ = a.counter.SetLimit(max(l.limit, 0))
			more, b.back = l.limit > before, b.back || l.limit < before
		}
		a.fence(now)
		return more
	}
	if !fresh || l.limit <= 0 {
		return false
	}
	b.coming -= l.limit
	until := said.Add(l.held + permitLife)
	if !now.Before(until) {
		b.back = true
		return false
	}
	b.hand = append(b.hand, permits{l.limit, until})
	_ = a.counter.SetLimit(a.counter.Limit() + l.limit)
	return true
}
