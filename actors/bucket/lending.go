package bucket

import "time"

// lending is what a bucket of several nodes lends, if this node owns it, and what it is lent. Its gate guards it.
type lending struct {
	purse  purse
	lender *lender       // nil unless this node owns the bucket, and somebody wants some of it
	short  time.Duration // until then this node's own callers have only what the purse holds
	listed bool          // the desk looks at it
}

// lendable is the niceness whose ceiling holds for what is lent. Whoever is less urgent, and might be kept from more of the limits than that,
// asks the owner.
const lendable = 0

// lends reports whether a request may go by what is lent.
func (r *rules) lends(nice int) bool { return len(r.classes) == 0 || nice <= lendable }

// takeLent lets a request go by what this node was lent. now is the node's clock.
func (s *state) takeLent(l *lending, now time.Duration) (from *slice) {
	if from = l.purse.take(now); from != nil {
		s.passed++
	}
	return from
}

// restrains notes a plain request of the owner's own callers, and reports whether they have only what the purse holds, for others want more than
// there is.
func (l *lending) restrains(now time.Duration) bool {
	l.purse.miss()
	return l.lender != nil && now < l.short
}

// lend shares out what the limits can let go now, if nobody waits for it. now and clock are the same moment, elapsed since the rules' epoch.
func (s *state) lend(l *lender, now time.Time, elapsed time.Duration) []loan {
	is := roomOf(&s.limits, now, s.rules.ceiling(lendable))
	if s.waiting() > 0 || s.held(now) > 0 {
		is.now = 0
	}
	out := l.share(elapsed, is)
	for i := range out {
		out[i].plan = s.rules.planned
		costs := s.rules.plan.Costs(int(out[i].n))
		s.limits.Charge(now, &costs)
	}
	return out
}

// repaid gives back what was not used of a slice.
func (s *state) repaid(l *lender, now time.Time, epoch time.Time, from string, r repayment) bool {
	if l == nil || l.epoch != r.epoch {
		return false // of another ownership: what is known of that came with its history, and stays charged
	}
	n, at := l.repay(from, r.number, r.n)
	if n == 0 {
		return false
	}
	costs := s.rules.plan.Costs(int(n))
	s.limits.Refund(now, epoch.Add(at), &costs)
	return true
}

// borrows reports whether the bucket is lent something.
func (g *gate) borrows() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tenure.busy()
}

// busy reports whether the bucket lends, or is lent something.
func (t *tenure) busy() bool { return t != nil && t.lending != nil && t.lending.listed }
