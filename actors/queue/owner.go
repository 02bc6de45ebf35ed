package queue

import (
	"slices"
	"strings"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// owner is what the owner of a clustered regulator knows of the nodes. It is pure, as are those who lend by it.
type owner struct {
	epoch   int64
	base    uint64 // loans are numbered from here
	nodes   map[string]*borrower
	ring    []string            // their names, in the order of their turns
	greets  map[string]uint64   // who is to be greeted, and its life if known
	missing map[string]struct{} // who has not said yet what it has of an earlier owner's loans
	until   time.Time           // when those count as gone
	greeted time.Time           // when they were greeted last
}

// borrower is what the owner knows of a node.
type borrower struct {
	life, former uint64
	number       uint64    // of its last report
	clock        int64     // of that
	heard        time.Time // when that came
	loan         uint64    // number of the last loan
	answer       bool      // it is to be told how things stand

	want, least int // as it said
	spent       uint64
	limit       int // of a counter: lent now
	bound       int // of a counter: the most that it may believe to have
	used        int // of a counter: as it said

	turn  time.Time // of a counter: until then it keeps what it has, though others wait
	span  time.Duration
	began uint64 // spent when its turn began

	issued int64   // of a rate: permits lent so far
	base   uint64  // of a rate: spent, before the first of them
	back   int64   // of a rate: permits that it has not used and will not use
	issues []issue // of a rate: those that may yet turn out so, oldest first
}

// letter is a loan and who gets it.
type letter struct {
	to   string
	loan loan
}

const (
	greetAgain   = 200 * time.Millisecond
	maxBorrowers = 10_000
)

// newOwner is of an owner that knows nothing. members are all nodes that may have been lent something, this one too.
func newOwner(now time.Time, epoch int64, rounds uint64, members []string) owner {
	o := owner{
		epoch: epoch, base: rounds << roundShift, nodes: make(map[string]*borrower), greets: make(map[string]uint64),
		missing: make(map[string]struct{}), until: now.Add(goneAfter),
	}
	for _, name := range members {
		o.missing[name] = struct{}{}
	}
	return o
}

// hear notes a report, and returns the node if the report is news.
func (o *owner) hear(now time.Time, from string, r report) (b *borrower, first bool) {
	if r.epoch != o.epoch || round(r.loan) != round(o.base) {
		o.greets[from] = r.life
		return nil, false
	}
	b = o.nodes[from]
	switch {
	case b != nil && (r.life == b.former || r.life == b.life && r.number <= b.number):
		return nil, false
	case b == nil && len(o.nodes) >= maxBorrowers:
		return nil, false
	case b == nil:
		o.ring = append(o.ring, from)
		b, first = &borrower{span: turnSpan}, true
	case r.life != b.life:
		b, first = &borrower{span: turnSpan, former: b.life}, true
	}
	delete(o.missing, from)
	o.nodes[from] = b
	b.life, b.number, b.clock, b.heard, b.answer = r.life, r.number, r.clock, now, !r.gone
	b.want, b.least, b.spent = max(r.want, 0), max(min(r.least, r.want), 0), r.spent
	return b, first
}

func (o *owner) remove(name string) {
	delete(o.nodes, name)
	o.ring = slices.DeleteFunc(o.ring, func(n string) bool { return n == name })
}

// members says who is there at all: nobody else is waited for.
func (o *owner) members(names []string) {
	for name := range o.missing {
		if !slices.Contains(names, name) {
			delete(o.missing, name)
		}
	}
}

// expire forgets who has not been heard of for too long, and returns how long until somebody may be next.
func (o *owner) expire(now time.Time) (next time.Duration) {
	next = limit.Never
	for name, b := range o.nodes {
		left := b.heard.Add(goneAfter).Sub(now)
		if left <= 0 {
			o.remove(name)
			continue
		}
		next = min(next, left)
	}
	if len(o.missing) > 0 {
		left := o.until.Sub(now)
		if left <= 0 {
			clear(o.missing)
			return next
		}
		next = min(next, left)
	}
	return next
}

// hellos are the greetings that are due, and how long until there are others.
func (o *owner) hellos(now time.Time) (out []letter, next time.Duration) {
	next = limit.Never
	if len(o.missing) > 0 {
		if next = o.greeted.Add(greetAgain).Sub(now); next <= 0 {
			o.greeted, next = now, greetAgain
			for name := range o.missing {
				if _, ok := o.greets[name]; !ok {
					o.greets[name] = 0
				}
			}
		}
	}
	for name, life := range o.greets {
		out = append(out, letter{name, loan{life: life, epoch: o.epoch, number: o.base, hello: true}})
	}
	clear(o.greets)
	slices.SortFunc(out, func(a, b letter) int { return strings.Compare(a.to, b.to) })
	return out, next
}

// rotate puts a node behind all others.
func (o *owner) rotate(name string) {
	i := slices.Index(o.ring, name)
	o.ring = append(slices.Delete(o.ring, i, i+1), name)
}
