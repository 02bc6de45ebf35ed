package queue

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock/actors/sampler"
)

// state is a queue: what its regulators have left, who waits in which order, and what it has been through. It is pure; its
// gate guards it, and the locks of the regulators that it shares.
type state struct {
	rules   *rules
	regs    []reg
	quick   bool // nothing but those who wait and the regulators can hold a request back
	direct  bool // nothing but a giving back lets anybody go: whoever gives back does so
	lent    bool // some of its regulators are the whole cluster's
	line    Behavior[Ticket]
	refusal error // why nothing is let in any more; nil while it is

	waiting int       // requests in line
	busy    time.Time // since when somebody has been waiting without a break; valid while waiting
	seq     uint64    // of the last request that had to wait
	round   time.Time // when the last round of letting go was; only with CheckInterval

	tickets *atomic.Uint64 // the room's
	ticket  uint64         // of the head's claims; 0 while there are none
	held    held

	running int // jobs that have been let go and are not done
	counts  counts
	in, out meter
	service service
}

// reg is a queue's use of a regulator.
type reg struct {
	acct      *account
	shared    *shared // whose account it is; nil: the queue's own
	increment int
	own       bool // it was configured with the queue, which alone may change it
	gone      bool // the shared regulator was deleted, and holds nobody back any more
	claim     claim
}

// held is what holds the head back.
type held struct {
	by    int // index of the regulator; -1: none
	since time.Time
}

// counts are what became of requests since the queue was added.
type counts struct {
	asked, granted, waited, gaveUp, done, failed uint64
	refused                                      [reasons]uint64
}

// grant is what a job was let go with.
type grant struct {
	rules *rules    // whose increments it took; nil if it took nothing
	at    time.Time // when it was granted; zero if nobody measures it
	cost  int
	inUse int // of an adaptive limit, with this job
}

// ticket is a request in line.
type ticket = Item[Ticket]

// settle is called after rules or refusal have changed.
func (s *state) settle(r *rules) {
	s.rules = r
	for i := range s.regs {
		s.regs[i].increment = r.increments[i]
	}
	s.quick = s.refusal == nil && r.quick
	s.direct = r.plain && s.own()
	s.lent = slices.ContainsFunc(s.regs, func(r reg) bool { return r.acct.loan != nil })
}

// own reports whether the queue shares none of its regulators.
func (s *state) own() bool {
	for i := range s.regs {
		if s.regs[i].shared != nil {
			return false
		}
	}
	return true
}

// pass lets a request go at once if nobody waits and there is room. now need not be told unless the rules are timed or
// measured.
func (s *state) pass(now time.Time, cost int, g *grant) bool {
	if s.waiting > 0 || !s.quick || s.rules.cfg.Action == Regulate && !s.fits(now, cost) {
		return false
	}
	s.take(now, now, cost, g)
	return true
}

// take counts a job in, for which there is room.
func (s *state) take(now, wanted time.Time, cost int, g *grant) {
	s.counts.granted++
	s.running++
	g.cost = cost
	if s.rules.cfg.Action == Approve {
		return
	}
	g.rules = s.rules
	for i := range s.regs {
		r := &s.regs[i]
		if r.gone {
			continue
		}
		r.acct.take(now, wanted, r.acct.need(r.increment, cost))
		if r.acct.adaptive != nil {
			g.inUse = r.acct.counter.Used()
		}
	}
}

// give takes a job out that is done. now is needed if the grant was measured.
func (s *state) give(now time.Time, g *grant, failed bool) {
	s.running--
	s.counts.done++
	if failed {
		s.counts.failed++
	}
	took := time.Duration(0)
	if !g.at.IsZero() {
		took = now.Sub(g.at)
		s.service.sample(now, took)
	}
	if g.rules == nil {
		return
	}
	for i := range s.regs {
		acct := s.regs[i].acct
		if acct.adaptive != nil && !g.at.IsZero() {
			acct.learn(now, took, g.inUse, failed)
		}
		acct.give(acct.need(g.rules.increments[i], g.cost))
	}
}

// undo takes a job out whose caller had given up before it began, as if it had never been let go.
func (s *state) undo(now time.Time, g *grant) {
	s.running--
	s.counts.granted--
	s.counts.gaveUp++
	if g.rules == nil {
		return
	}
	for i := range s.regs {
		acct := s.regs[i].acct
		acct.undo(now, g.at, acct.need(g.rules.increments[i], g.cost))
	}
}

// possible is the index of a regulator that can never have room for the cost, or -1.
func (s *state) impossible(cost int) int {
	if s.rules.cfg.Action != Regulate {
		return -1
	}
	for i := range s.regs {
		if r := &s.regs[i]; !r.gone && !r.acct.possible(r.acct.need(r.increment, cost)) {
			return i
		}
	}
	return -1
}

// admit puts a request in line, which has to wait.
func (s *state) admit(now time.Time, t *ticket) error {
	t.At, t.Seq, t.Weight = now, s.seq+1, s.rules.weight(t.Flow)
	if err := s.line.In(now, t); err != nil {
		return err
	}
	if s.waiting == 0 {
		s.busy = now
	}
	s.seq++
	s.waiting++
	s.counts.waited++
	t.Value.w.waits = true
	return nil
}

// dismiss takes a request that waited out of the line. It reports false if that had been done before.
func (s *state) dismiss(t *ticket) bool {
	w := t.Value.w
	if !w.waits {
		return false
	}
	s.line.Remove(t)
	s.countOut(w)
	return true
}

func (s *state) countOut(w *waiter) {
	w.waits = false
	s.waiting--
}

// timedOut takes out who has waited too long, or is refused because the line is overloaded.
func (s *state) timedOut(now time.Time) []*ticket {
	out := s.line.TimedOut(now, s.rules.cfg.MaxTime)
	for _, t := range out {
		s.countOut(t.Value.w)
	}
	return out
}

// reasonFor is why timedOut took it out.
func (s *state) reasonFor(now time.Time, t *ticket) Reason {
	if most := s.rules.cfg.MaxTime; most > 0 && now.Sub(t.At) >= most {
		return TimedOut
	}
	return Overloaded
}

// next is the head of the line, if it is to be let go or refused (reason) now; else wait is how long until there may be
// something to do if nothing else happens, or limit.Never.
func (s *state) next(now time.Time) (head *ticket, reason Reason, wait time.Duration) {
	due := s.line.Due(now, s.rules.cfg.MaxTime)
	head, ok := s.line.Peek(now)
	if !ok {
		s.withdraw()
		s.holdBack(now, -1)
		return nil, granted, due
	}
	switch s.rules.cfg.Action {
	case Approve:
		return head, granted, 0
	case Reject:
		return head, Rejected, 0
	}
	switch {
	case s.impossible(head.Cost) >= 0:
		return head, impossible, 0
	case !head.Deadline.IsZero() && head.Deadline.Sub(now) < s.service.quick(now):
		return head, Hopeless, 0
	}
	if pause := s.rules.cfg.CheckInterval - now.Sub(s.round); s.rules.cfg.CheckInterval > 0 && pause > 0 && !now.Equal(s.round) {
		return nil, granted, min(due, pause)
	}
	if s.lent {
		if i := s.away(now, head.Cost); i >= 0 {
			s.holdBack(now, i)
			return head, Away, 0
		}
	}
	if d := s.await(now, head.Cost); d > 0 {
		return nil, granted, min(due, d)
	}
	return head, granted, 0
}

// leave takes the head out of the line, whatever becomes of it.
func (s *state) leave(now time.Time, head *ticket) {
	s.line.Out(now)
	s.countOut(head.Value.w)
}

// let takes the head out of the line and lets it go. The queue's next head takes its turn behind those of other queues.
func (s *state) let(now time.Time, head *ticket) {
	s.round = now
	s.leave(now, head)
	s.withdraw()
	w := head.Value.w
	w.grant = grant{at: now}
	s.take(now, s.busy, head.Cost, &w.grant)
}

// holdBack notes which regulator holds the head back now.
func (s *state) holdBack(now time.Time, by int) {
	if by == s.held.by {
		return
	}
	s.held = held{by: by, since: now}
	if by >= 0 {
		s.regs[by].acct.holds++
	}
}

// crowded reports whether nobody more may wait.
func (s *state) crowded() bool { return s.waiting >= s.rules.cfg.MaxSize }

// clear counts out all who wait in line.
func (s *state) clear() []*waiter {
	var waiters []*waiter
	for t := range s.line.All() {
		waiters = append(waiters, t.Value.w)
	}
	for _, w := range waiters {
		s.dismiss(&w.item)
	}
	s.withdraw()
	return waiters
}

// correct brings the queue's own regulators to what their modifiers make of the load.
func (s *state) correct(now time.Time, load sampler.Load) {
	for i := range s.regs {
		if r := &s.regs[i]; r.own {
			r.acct.correct(now, load)
		}
	}
}
