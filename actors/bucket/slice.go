package bucket

import (
	"math"
	"time"
)

// slice is a part of a bucket's limits that its owner has lent to a node: so many requests that cost 1 of everything, all of which the owner
// has charged. It is a grant like any other, and good for as short a time.
type slice struct {
	owner  string
	epoch  int64         // under which it was lent
	number uint64        // of the slice, in that epoch
	at     time.Duration // when it was lent, by the owner's clock
	until  time.Duration // when it ends, by the borrower's
	left   int32         // the only one that changes
	grant  *grant        // what each of its requests is to the owner
}

// purse is what a node has been lent of a bucket, and how much its callers ask for. It is pure; the bucket's gate guards it.
type purse struct {
	slices []*slice // the oldest first
	asked  uint32   // requests since the last look
	demand float64  // requests between two looks: the most lately
	quiet  int      // looks since anybody asked
	last   struct {
		epoch  int64
		number uint64 // of the newest slice, in that epoch
	}
}

const (
	// looks is how often a purse is looked at in the lifetime of a slice.
	looks = 4
	// stock is for how many looks a purse should last. What it holds must be used before it ends, and some of a slice's time is over
	// when it comes.
	stock = 2.5
	// cooling is what remains of the demand at each look.
	cooling = 0.75
	// patience is after how many looks without a request a purse is given up.
	patience = 16
)

// repayment is what is given back of a slice.
type repayment struct {
	owner  string
	epoch  int64
	number uint64
	n      int32
}

// take uses up one of what was lent, of which slice it returns; nil if there is none that has not ended.
func (p *purse) take(now time.Duration) *slice {
	for _, s := range p.slices {
		if s.left > 0 && now < s.until {
			s.left--
			p.asked++
			return s
		}
	}
	return nil
}

// miss notes a request for which there was nothing.
func (p *purse) miss() { p.asked++ }

// put takes in a slice, unless a later one has come: then it may be one that is here already.
func (p *purse) put(s *slice) {
	if s.epoch > p.last.epoch || s.epoch == p.last.epoch && s.number > p.last.number {
		p.last.epoch, p.last.number = s.epoch, s.number
		p.slices = append(p.slices, s)
	}
}

// look is done at regular times. It returns how much more is wanted, and what is to be given back. done is true if nobody has asked for
// long, and all is given back.
func (p *purse) look(now, life time.Duration) (want int, back []repayment, done bool) {
	if p.quiet++; p.asked > 0 {
		p.quiet = 0
	}
	p.demand = max(float64(p.asked), p.demand*cooling)
	p.asked = 0
	if p.quiet >= patience {
		return 0, p.giveBack(back, func(*slice) bool { return true }), true
	}
	back = p.giveBack(back, func(s *slice) bool { return now >= s.until })
	want = atLeast(p.demand*stock) - p.left(now)
	return max(want, atLeast(p.demand)-p.left(now+life/2), 0), back, false // there has to be some when those that are here end
}

// rate is what callers ask for in a second, if the purse is looked at that often.
func (p *purse) rate(life time.Duration) float64 { return p.demand * looks / life.Seconds() }

// maxSlice keeps what a node wants within what a limit can count.
const maxSlice = math.MaxInt32 / 2

func atLeast(x float64) int { return int(math.Ceil(min(x, maxSlice))) }

// left is how much there is of slices that end later than then.
func (p *purse) left(then time.Duration) (n int) {
	for _, s := range p.slices {
		if s.until > then {
			n += int(s.left)
		}
	}
	return n
}

// giveBack takes those slices out that are of no use any more.
func (p *purse) giveBack(back []repayment, gone func(*slice) bool) []repayment {
	kept := p.slices[:0]
	for _, s := range p.slices {
		switch {
		case s.left == 0:
		case gone(s):
			back = append(back, repayment{s.owner, s.epoch, s.number, s.left})
		default:
			kept = append(kept, s)
		}
	}
	clear(p.slices[len(kept):])
	p.slices = kept
	return back
}
