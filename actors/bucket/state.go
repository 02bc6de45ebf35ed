package bucket

import (
	"iter"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// state is a bucket: what its limits have left, and who waits for them in which order. It is pure; its gate guards it.
type state struct {
	passed  uint64 // requests let through
	limits  limit.Set
	rules   *rules        // nil once the bucket has been put away: whoever finds that must look its ID up again
	used    time.Duration // when a caller last asked, after the rules' epoch; see use
	backlog *backlog      // nil while everybody has gone at once, and nothing was throttled or shared
}

// backlog is what a bucket needs only when not everybody can go at once.
type backlog struct {
	waiting   int32             // requests in line and on their way to it
	throttled bool              // false when throttle need not be looked at
	throttle  time.Time         // nothing passes before; valid while throttled
	front     int64             // no rank that waits is below it; valid while somebody waits
	seq       uint64            // of the last request that had to wait
	refused   uint64            // requests turned away, or in shadow those that would have been held
	line      line              // those who wait and have reached the actor; nil until somebody had to wait
	calls     map[callKey]*call // requests with a Key that wait or run; nil until there is one
}

// newState is a bucket made at born; about former see remember.
func newState(r *rules, born, former time.Time) state {
	s := state{rules: r, limits: r.plan.NewSet()}
	r.remember(&s.limits, born, former)
	s.hold(born, r.throttle)
	return s
}

// adopt moves the bucket to newer rules and keeps what its limits remember.
func (s *state) adopt(now time.Time, r *rules) {
	if r.plan != s.rules.plan {
		s.limits.Change(now, r.plan)
		for t := range s.backlog.inLine() {
			t.reprice(r.plan)
		}
	}
	s.rules = r
	s.hold(now, r.throttle)
}

// behind is the backlog, made if there is none.
func (s *state) behind() *backlog {
	if s.backlog == nil {
		s.backlog = new(backlog)
	}
	return s.backlog
}

// inLine yields those in line.
func (b *backlog) inLine() iter.Seq[*ticket] {
	if b == nil || b.line == nil {
		return func(func(*ticket) bool) {}
	}
	return b.line.All()
}

// calm reports whether nobody waits and no throttle needs to be looked at.
func (s *state) calm() bool {
	return s.backlog == nil || s.backlog.waiting == 0 && !s.backlog.throttled
}

// waiting is how many requests wait, in line or on their way to it.
func (s *state) waiting() int {
	if s.backlog == nil {
		return 0
	}
	return int(s.backlog.waiting)
}

// refused is how many requests were turned away.
func (s *state) refused() uint64 {
	if s.backlog == nil {
		return 0
	}
	return s.backlog.refused
}

// hold lets nothing pass before until, if that is still to come. It never shortens a hold.
func (s *state) hold(now, until time.Time) {
	if !until.After(now) {
		return
	}
	if b := s.behind(); !b.throttled || until.After(b.throttle) {
		b.throttle, b.throttled = until, true
	}
}

// held is how much longer a throttle is in force; 0 if none is.
func (s *state) held(now time.Time) time.Duration {
	b := s.backlog
	if b == nil || !b.throttled {
		return 0
	}
	rest := b.throttle.Sub(now)
	if rest <= 0 {
		b.throttled = false
	}
	return min(max(rest, 0), limit.Never-1) // a throttle without end is no reason to send anybody away
}

// use notes that a caller asked. The note may be the rules' grain behind, so that it is seldom written.
func (s *state) use(elapsed time.Duration) {
	if elapsed-s.used > s.rules.grain {
		s.used = elapsed
	}
}

// pass takes the costs if the request may go at once: there is room for its class, no throttle, and nobody waits whom
// it must not overtake. tightest and remaining are of the limit with the least left.
func (s *state) pass(now time.Time, nice int, costs *limit.Costs) (tightest, remaining int, ok bool) {
	if !s.calm() && (s.held(now) > 0 || s.waiting() > 0 && s.rules.rank(nice, now) >= s.backlog.front) {
		return 0, 0, false
	}
	return s.limits.Take(now, costs, s.rules.ceiling(nice))
}

// await is how long a request that cannot pass has to wait at the least, and the limit that holds it back; -1 if it is a
// throttle or those who wait.
func (s *state) await(now time.Time, nice int, costs *limit.Costs) (d time.Duration, held int) {
	d, held = s.limits.Wait(now, costs, s.rules.ceiling(nice))
	if d == limit.Never { // its class alone has no room for it: it will be lifted
		d, held = s.limits.Wait(now, costs, &s.rules.full)
	}
	if rest := s.held(now); rest > 0 && rest >= d {
		return rest, -1
	}
	if d == 0 {
		held = -1
	}
	return d, held
}

// admit counts in a request that has to wait. From now on nobody less urgent passes it.
func (s *state) admit(now time.Time, nice int, costs *limit.Costs, t *ticket) {
	b := s.behind()
	b.seq++
	t.nice, t.plan, t.costs, t.since, t.seq = nice, s.rules.plan, *costs, now, b.seq
	rank := s.rules.rank(nice, now)
	if b.waiting == 0 || rank < b.front {
		b.front = rank
	}
	if b.line == nil {
		b.line = newLine(s.rules)
	}
	b.waiting++
	t.counted = true
}

// join puts an admitted request in line, unless it has been dismissed on its way.
func (s *state) join(t *ticket) {
	if !t.counted {
		return
	}
	t.reprice(s.rules.plan) // the limits may have been changed while it was on its way
	s.backlog.line.push(t, s.rules)
	t.inLine = true
	s.open() // the front may still be that of somebody who gave up
}

// dismiss counts out a request that is not to be granted, and takes it out of the line if it got there. It reports false if
// it did not wait any more.
func (s *state) dismiss(t *ticket) bool {
	if !t.counted {
		return false
	}
	if t.inLine {
		s.backlog.line.Remove(t)
	}
	s.countOut(t)
	return true
}

// countOut has a request that is not in line any more count no longer.
func (s *state) countOut(t *ticket) {
	t.counted, t.inLine = false, false
	s.backlog.waiting--
	s.open()
}

// open lets pass again who is more urgent than everybody in line. It can tell only when nobody is on the way there.
func (s *state) open() {
	b := s.backlog
	if int(b.waiting) != b.line.Len() {
		return
	}
	if head, ok := b.line.Peek(); ok {
		b.front = s.rules.rank(head.nice, head.since)
	}
}

// crowded says why the line takes nobody in.
func (s *state) crowded(now time.Time, family, id string) *FullError {
	full := &FullError{Family: family, ID: id, Waiting: s.waiting()}
	if t := s.head(); t != nil {
		var held int
		if full.RetryAfter, held = s.await(now, t.nice, &t.costs); held >= 0 {
			full.Limit = s.rules.names[held]
		}
	}
	return full
}

// owe charges what passes although it should have waited, up to what as many as may wait would have taken.
func (s *state) owe(now time.Time, costs *limit.Costs, maxWaiting int) {
	for i := range s.rules.names {
		if s.limits.Used(now, i) > int(s.rules.full[i])+maxWaiting {
			return
		}
	}
	s.limits.Charge(now, costs)
}

// promote makes a waiting request more urgent. Its place among equals stays that of its arrival.
func (s *state) promote(t *ticket, nice int) {
	if nice >= t.nice || !t.counted {
		return
	}
	queued := t.inLine
	if queued {
		s.backlog.line.Remove(t)
	}
	t.nice = nice
	s.backlog.front = min(s.backlog.front, s.rules.rank(t.nice, t.since))
	if queued {
		s.join(t)
	}
}

// head is the request whose turn is next; nil if nobody is in line.
func (s *state) head() *ticket {
	if s.backlog == nil || s.backlog.line == nil {
		return nil
	}
	t, _ := s.backlog.line.Peek()
	return t
}

// due is how long the head still has to wait, 0 if it may go now. After a wait it may turn out that it has to wait
// again: nothing but its own turn was foreseen. Call it only when there is a head.
func (s *state) due(now time.Time) time.Duration {
	t := s.head()
	ceiling, lifted := s.ceiling(t, now)
	d, _ := s.limits.Wait(now, &t.costs, ceiling)
	d = min(d, lifted)
	return max(d, s.held(now))
}

// grant lets the head go, whose wait is over.
func (s *state) grant(now time.Time) {
	t := s.head()
	s.limits.Charge(now, &t.costs)
	s.passed++
	s.backlog.line.Pop() // it is t, and charged to its flow
	s.countOut(t)
}

// ceiling is how far a waiting request may use the limits now, and how long until that changes.
func (s *state) ceiling(t *ticket, now time.Time) (ceiling *limit.Costs, change time.Duration) {
	r, waited := s.rules, now.Sub(t.since)
	if r.lift > 0 && waited >= r.lift {
		return &r.full, limit.Never
	}
	nice, change := t.nice, limit.Never
	if r.aging > 0 {
		nice -= int(min(waited/r.aging, MaxNice-MinNice))
		change = r.aging - waited%r.aging
	}
	ceiling = r.ceiling(nice)
	if ceiling == r.ceiling(MinNice) { // ageing leads no further
		change = limit.Never
	}
	if r.lift > 0 && *ceiling != r.full {
		change = min(change, r.lift-waited)
	}
	return ceiling, change
}

// idle reports whether nobody has asked for this long.
func (s *state) idle(elapsed, idle time.Duration) bool { return elapsed-s.used >= idle+s.rules.grain }

// fresh reports whether the bucket could be forgotten: a new one would behave the same.
func (s *state) fresh(now time.Time) bool {
	if b := s.backlog; b != nil && (b.waiting > 0 || len(b.calls) > 0 || s.held(now) > 0) {
		return false
	}
	return s.limits.Fresh(now)
}
