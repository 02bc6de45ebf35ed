package queue

import (
	"slices"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// lender is the owner's account of a clustered counter: it lends all nodes together no more than the limit, and lends in turn when they
// want more than that.
//
//   - A node counts as having what it was last lent, or what it was lent before while it may not have heard of less, or what its jobs hold
//     as it said, whichever is most.
//   - Who wants more is in a ring. The front gets what it needs to go on, as soon as that is free; meanwhile nobody else gets any.
//   - For that others give up what is beyond their share, once their turn is over; all they have if the front's next job takes more than a
//     share. What their jobs hold comes back when these are done.
//   - A node that let nothing go in its turn, because its jobs lack something else as well, gets one that is twice as long the next time:
//     so two counters that are free in turn starve nobody who needs both.
type lender struct {
	owner
	front string // who is waited for; empty: nobody
}

const (
	turnSpan = 20 * time.Millisecond
	maxTurn  = 5 * time.Second
)

func newLender(now time.Time, epoch int64, rounds uint64, members []string) *lender {
	return &lender{owner: newOwner(now, epoch, rounds, members)}
}

// report takes in what a node says.
func (l *lender) report(now time.Time, from string, r report) {
	b, first := l.hear(now, from, r)
	if b == nil {
		return
	}
	b.used = max(r.used, 0)
	switch has := max(r.limit, 0); {
	case first, r.loan > b.loan:
		b.limit, b.bound, b.loan = has, has, r.loan
	case r.loan == b.loan: // it may have given up what it has
		b.limit = min(b.limit, has)
		b.bound = b.limit
	}
}

// charge is what counts as the node's.
func (b *borrower) charge() int { return max(b.bound, b.used) }

// short reports whether the node wants more than it has, under this limit.
func (b *borrower) short(most int) bool { return b.want > b.limit && b.least <= most }

// set lends the node so much in all from now on.
func (b *borrower) set(n int) {
	b.limit, b.bound, b.answer = n, max(b.bound, n), true
	b.loan++
}

// advance lends under the limit of now, and returns what the nodes are to hear, and how long until there may be something to do.
func (l *lender) advance(now time.Time, most int) (out []letter, next time.Duration) {
	next = l.expire(now)
	out, wait := l.hellos(now)
	next = min(next, wait)
	if len(l.missing) == 0 {
		next = min(next, l.serve(now, most))
	}
	for _, name := range l.ring {
		if b := l.nodes[name]; b.answer {
			b.answer = false
			out = append(out, letter{name, loan{life: b.life, epoch: l.epoch, number: b.loan, clock: b.clock, limit: b.limit, most: most}})
		}
	}
	return out, next
}

func (l *lender) serve(now time.Time, most int) (next time.Duration) {
	share, free, active := l.share(most), most, 0
	for _, b := range l.nodes {
		free -= b.charge()
		if b.want > 0 || b.charge() > 0 {
			active++
		}
	}
	for {
		if b := l.nodes[l.front]; b == nil || !b.short(most) {
			l.front = l.choose(most, share)
		}
		b := l.nodes[l.front]
		if b == nil {
			break
		}
		had := b.charge()
		least := max(b.least, b.limit+1)
		if least-had > free {
			return l.recall(now, b, share)
		}
		n := min(b.want, max(least, share, b.limit+free/active), had+max(free, 0))
		free -= max(n-had, 0)
		b.set(n)
		b.turn, b.began = now.Add(b.span), b.spent
		l.rotate(l.front)
		l.front = ""
	}
	if free < 0 {
		return l.recall(now, nil, share)
	}
	return limit.Never
}

// choose is whose turn it is: of those who have less than their share, or else of all.
func (l *lender) choose(most, share int) (any string) {
	for _, name := range l.ring {
		b := l.nodes[name]
		if !b.short(most) {
			continue
		}
		if b.charge() < max(share, 1) {
			return name
		}
		if any == "" {
			any = name
		}
	}
	return any
}

// recall takes back from others what the front needs, or what is beyond the limit, and returns how long until more of them may be asked.
func (l *lender) recall(now time.Time, front *borrower, share int) (next time.Duration) {
	next = limit.Never
	if front != nil && front.least-front.used > share {
		share = 0 // its next job takes more than that
	}
	for _, name := range l.ring {
		b := l.nodes[name]
		keep := min(b.want, share)
		if b == front || b.limit <= keep {
			continue
		}
		if wait := b.turn.Sub(now); wait > 0 {
			if keep < b.want {
				next = min(next, wait)
			}
			keep = b.want // what it does not want it gives up at once
		} else if b.span = min(2*b.span, maxTurn); b.spent != b.began {
			b.span = turnSpan
		}
		if keep < b.limit {
			b.set(keep)
		}
	}
	return next
}

// share is the most that each may have if all that want less get what they want, and the rest as much as one another.
func (l *lender) share(most int) int {
	var wants []int
	for _, b := range l.nodes {
		wants = append(wants, b.want)
	}
	slices.Sort(wants)
	for i, want := range wants {
		each := most / (len(wants) - i)
		if want > each {
			return each
		}
		most -= want
	}
	if len(wants) == 0 {
		return most
	}
	return wants[len(wants)-1] + most
}
