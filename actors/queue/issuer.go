package queue

import (
	"time"

	"github.com/penstock-go/penstock/limit"
)

// issuer is the owner's account of a clustered rate: it lets permits go to the nodes that want them, in turn, each as much as its next
// job takes.
//
// A permit is used some time after it was let go, or never. So that no second holds more than the rate, wherever its jobs run, the
// owner counts each for a second and permitLife; and a node uses none that is older than that. What a node says it has not used and will not
// use is let go anew.
type issuer struct {
	owner
	rate   *limit.Rate
	window window
	busy   time.Time // since when somebody has wanted some without a break; zero: nobody does
}

const (
	issueTick = 5 * time.Millisecond   // permits that come due nearer to each other go together
	underWay  = 250 * time.Millisecond // when those of which the node has not said that they came are counted as lost
	maxIssues = 1024                   // of a node, as far as they may be given back
)

// newIssuer is of an owner that does not know what was let go before: as much as may be.
func newIssuer(now time.Time, epoch int64, rounds uint64, perSecond float64) *issuer {
	i := &issuer{owner: newOwner(now, epoch, rounds, nil)}
	i.rate, _ = limit.NewRate(0) // valid
	i.set(now, perSecond)
	i.rate.Take(now, now, i.window.most)
	return i
}

// set puts another rate in force. It is no refill.
func (i *issuer) set(now time.Time, perSecond float64) {
	if perSecond == i.rate.PerSecond() {
		return
	}
	_ = i.rate.Set(now, perSecond) // valid
	if perSecond > 0 {
		i.window.bound(now, perSecond)
	}
}

// issue is so many permits, let go at once.
type issue struct {
	at   time.Time
	n    int
	loan uint64
	all  int64 // permits lent by then, with these
}

// report takes in what a node says.
func (i *issuer) report(now time.Time, from string, r report) {
	b, first := i.hear(now, from, r)
	switch {
	case b == nil:
		return
	case first || r.loan > b.loan:
		b.loan, b.base, b.issued, b.back, b.issues = r.loan, r.spent, 0, 0, nil
		return
	}
	if r.idle {
		i.settle(now, b, r)
	}
	for _, s := range b.issues {
		switch {
		case s.loan <= r.loan:
		case now.Sub(s.at) < underWay:
			b.want = max(b.want-s.n, 0)
		case s.loan == b.loan:
			b.loan++ // when the node has this one it will use none of those before
		}
	}
	b.least = min(b.least, b.want)
}

// settle gives back what the node will not use of what it has had: the oldest, for what counts is what may have been used last.
func (i *issuer) settle(now time.Time, b *borrower, r report) {
	had := int64(0)
	n := 0
	for _, s := range b.issues {
		if s.loan <= r.loan {
			had = s.all
			n++
		}
	}
	if n == 0 {
		return
	}
	unused := had - int64(r.spent-b.base) - b.back
	for _, s := range b.issues[:n] {
		if unused <= 0 {
			break
		}
		k := int(min(unused, int64(s.n)))
		i.rate.Give(now, s.at, k)
		i.window.give(s.at, k)
		b.back += int64(k)
		unused -= int64(k)
	}
	b.issues = b.issues[n:]
}

// advance lets go what may, at the rate of now, and returns what the nodes are to hear, and how long until there may be something to do.
func (i *issuer) advance(now time.Time, perSecond float64) (out []letter, next time.Duration) {
	i.set(now, perSecond)
	next = i.expire(now)
	out, _ = i.hellos(now)
	issued := make(map[string]int)
	next = min(next, i.issue(now, issued))
	for _, name := range i.ring {
		b, n := i.nodes[name], issued[name]
		if n > 0 {
			b.loan++
			b.issued += int64(n)
			b.issues = append(b.issues, issue{now, n, b.loan, b.issued})
			if len(b.issues) > maxIssues {
				b.issues = b.issues[1:]
			}
		}
		if n > 0 || b.answer {
			b.answer = false
			out = append(out, letter{name, loan{
				life: b.life, epoch: i.epoch, number: b.loan, clock: b.clock, limit: n, held: now.Sub(b.heard), most: int(perSecond),
			}})
		}
	}
	return out, next
}

// issue lets go what may.
func (i *issuer) issue(now time.Time, issued map[string]int) (next time.Duration) {
	for {
		name := i.first()
		if name == "" {
			i.busy = time.Time{}
			return limit.Never
		}
		if i.busy.IsZero() {
			i.busy = now
		}
		b := i.nodes[name]
		n := max(b.least, 1)
		if wait := max(i.rate.Wait(now, n), i.window.wait(now, n)); wait > 0 {
			if wait == limit.Never {
				return wait
			}
			return max(wait, min(issueTick, time.Duration(float64(time.Second)/i.rate.PerSecond())))
		}
		i.rate.Take(now, i.busy, n)
		i.window.add(now, n)
		issued[name] += n
		b.want -= n
		b.least = min(1, b.want)
		i.rotate(name)
	}
}

// first is whose turn it is.
func (i *issuer) first() string {
	for _, name := range i.ring {
		if i.nodes[name].want > 0 {
			return name
		}
	}
	return ""
}
