package stat

import "time"

// schedule says which tallies are due: a wheel of spokes, each a list of those that are due in the same tick. Adding, taking out
// and what is due cost the same however many there are, and a key has two words in it instead of a timer.
//
// Nothing is due too early, and at most a tick too late.
type schedule[K, P comparable, C any] struct {
	tick   time.Duration
	spokes []*tally[K, P, C]
	at     int64 // the tick up to which everything has been taken out
	n      int
}

const (
	finest    = time.Millisecond
	coarsest  = time.Second
	maxSpokes = 4096
)

// newSchedule is for tallies most of which are due within span.
func newSchedule[K, P comparable, C any](span time.Duration) schedule[K, P, C] {
	tick := min(max(span/256, finest), coarsest)
	return schedule[K, P, C]{tick: tick, spokes: make([]*tally[K, P, C], min(int(span/tick)+2, maxSpokes))}
}

// next is how long after now the next tick is. Ticks are the same for all that is in, so nothing waits for one of its own and
// then for the wheel's.
func (s *schedule[K, P, C]) next(now time.Duration) time.Duration { return s.tick - now%s.tick }

// add puts in a tally that is nowhere. One that is due later than the wheel reaches stays in its last spoke and goes round.
func (s *schedule[K, P, C]) add(t *tally[K, P, C]) {
	tick := int64((t.due + s.tick - 1) / s.tick)
	tick = min(max(tick, s.at+1), s.at+int64(len(s.spokes)))
	spoke := &s.spokes[tick%int64(len(s.spokes))]
	t.next, t.prev = *spoke, spoke
	if t.next != nil {
		t.next.prev = &t.next
	}
	*spoke = t
	t.where = scheduled
	s.n++
}

// remove takes out a tally that is in.
func (s *schedule[K, P, C]) remove(t *tally[K, P, C]) {
	*t.prev = t.next
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
	t.where = nowhere
	s.n--
}

// advance takes out what is due now and gives it to each.
func (s *schedule[K, P, C]) advance(now time.Duration, each func(*tally[K, P, C])) {
	last := int64(now / s.tick)
	if s.n == 0 {
		s.at = max(s.at, last)
		return
	}
	from := max(s.at+1, last-int64(len(s.spokes))+1) // a wheel that stood still goes round once
	for tick := from; tick <= last; tick++ {
		s.at = max(s.at, tick)
		spoke := &s.spokes[tick%int64(len(s.spokes))]
		for t := *spoke; t != nil; {
			next := t.next
			if t.due <= now {
				s.remove(t)
				each(t)
			}
			t = next
		}
		s.turn(spoke)
	}
	s.at = max(s.at, last)
}

// turn puts what is left in a spoke, because it is due a turn later or more, where it belongs now.
func (s *schedule[K, P, C]) turn(spoke **tally[K, P, C]) {
	t := *spoke
	*spoke = nil
	for t != nil {
		next := t.next
		t.next, t.prev = nil, nil
		s.n--
		s.add(t)
		t = next
	}
}
