package batch

import "time"

// state is what a key's operations wait for and what is done with them. It is pure: it is told the time.
//
// A key has one batch at a time. Operations wait until the key is free and their time has come; then they are a batch, which is
// run and saved. What it needs is loaded as soon as the key is free and somebody waits.
type state[R any] struct {
	waiting []*operation[R] // in the order of their coming
	line    uint64          // the number of the line they wait in: each batch takes a whole line
	gone    int             // how many of them were cancelled
	since   time.Duration   // when the first of them came
	batch   *run[R]         // that is being worked at, is in line for a shard, or waits to be tried again; nil: the key is free

	value R             // loaded for the next batch, if has
	has   bool          //
	until time.Duration // how long value may be used; forever if it was loaded for the next batch
	under int64         // the epoch that value was loaded under
	epoch int64         // under which the key is this node's; 0 outside a cluster
	spare []*operation[R]

	stuck  *StuckError // the batch was given up, and its function has not returned
	closed bool        // the key was put away, or its processor has closed
}

// run is a batch.
type run[R any] struct {
	phase    phase
	ops      []*operation[R] // in order; not changed while they run
	at       int             // how many of them have had their turn
	ran      int             // … and ran
	epoch    int64           // under which the key was this node's when it began
	lost     bool            // nothing of it is stored, and the key is this node's no more, or anew
	began    time.Duration
	deadline time.Duration
	again    time.Duration // when it is tried again after a conflict
	tries    int           // conflicts it has had
	loadTook time.Duration
	saveTook time.Duration
	aborted  *AbortError
}

// phase is where a batch is.
type phase uint8

const (
	queuedLoad phase = iota // in line for a shard, to load
	loading
	collecting // loaded, and its time has not come
	queuedRun  // in line for a shard, to run and save
	running
	saving
	conflicted // waits to be tried again
)

var phases = [...]string{"waiting for a shard", "load", "collecting", "waiting for a shard", "operation", "save", "waiting for a shard"}

// rules are the times and bounds that a processor gives its keys.
type rules struct {
	min, max, grace, keep time.Duration
	operations            int
	load                  bool // there is something to be called
}

const forever = time.Duration(1<<63 - 1)

// todo is what is to be done for a key now.
type todo uint8

const (
	nothing todo = iota
	load         // put it in line for a shard, to load
	work         // … to run and save
	giveUp       // its batch is stuck
)

// next says what is to be done now, and when to ask again. hurry: nothing more will come, so nothing is waited for.
func (s *state[R]) next(now time.Duration, r *rules, hurry bool) (do todo, again time.Duration) {
	if b := s.batch; b != nil {
		switch {
		case s.stuck != nil:
			return nothing, forever
		case b.phase == conflicted && (now >= b.again || hurry):
			b.phase = queuedLoad
			return load, b.deadline + r.grace
		case b.phase == conflicted:
			return nothing, b.again
		case b.phase == collecting && s.due(now, r, hurry):
			s.fill(b, r)
			b.phase = queuedRun
			return work, b.deadline + r.grace
		case b.phase == collecting:
			return nothing, s.since + r.min
		case now >= b.deadline+r.grace:
			return giveUp, forever
		}
		return nothing, b.deadline + r.grace
	}
	if len(s.waiting) == s.gone {
		s.sweep()
		return nothing, forever
	}
	if s.has && (now >= s.until || s.under != s.epoch) { // somebody else may have owned the key, and written it
		s.drop()
	}
	b := &run[R]{began: s.since, deadline: s.since + r.max, epoch: s.epoch}
	if s.since+r.min < now { // it had to wait for the batch before: its time begins now
		b.deadline = now + r.max
	}
	s.batch = b
	if !s.has && r.load {
		b.phase = queuedLoad
		return load, b.deadline + r.grace
	}
	b.phase = collecting
	return s.next(now, r, hurry)
}

// due reports whether the time of those that wait has come.
func (s *state[R]) due(now time.Duration, r *rules, hurry bool) bool {
	return hurry || now >= s.since+r.min || r.operations > 0 && len(s.waiting)-s.gone >= r.operations
}

// fill takes those that wait into a batch, as many as may be in one.
func (s *state[R]) fill(b *run[R], r *rules) {
	s.take(b)
	if r.operations > 0 && len(b.ops) > r.operations {
		for _, o := range b.ops[r.operations:] {
			o.line = s.line
		}
		s.waiting = append(s.waiting, b.ops[r.operations:]...)
		clear(b.ops[r.operations:])
		b.ops = b.ops[:r.operations]
	}
	b.deadline = max(b.deadline, s.since+r.max) // those that it was begun for may all have been cancelled
}

// take takes all that wait into a batch.
func (s *state[R]) take(b *run[R]) {
	s.sweep()
	b.ops = s.waiting
	s.waiting, s.spare = s.spare, nil
	s.line++ // none of them is in line any more
}

// add puts an operation in line and reports whether the key's actor is to look: it is the first, or the last that may be.
func (s *state[R]) add(o *operation[R], now time.Duration, r *rules) (look bool) {
	if len(s.waiting) == 0 {
		s.since = now
	}
	s.waiting = append(s.waiting, o)
	o.line = s.line
	return len(s.waiting) == 1 || r.operations > 0 && len(s.waiting)-s.gone == r.operations
}

// cancel notes that an operation was cancelled. It may be in a batch, or have been swept out, and then it is not counted.
func (s *state[R]) cancel(o *operation[R]) {
	if o.line != s.line {
		return
	}
	o.line = nowhere
	if s.gone++; s.gone*2 > len(s.waiting) {
		s.sweep()
	}
}

// sweep takes out those that were cancelled.
func (s *state[R]) sweep() {
	if s.gone == 0 {
		return
	}
	left := s.waiting[:0]
	for _, o := range s.waiting {
		if o.line == s.line {
			left = append(left, o)
		}
	}
	clear(s.waiting[len(left):])
	s.waiting, s.gone = left, 0
}

// putBack puts what of a batch has not run in front of those that wait. It may have run before a conflict, which counts for
// nothing now.
func (s *state[R]) putBack(b *run[R], now time.Duration) {
	rest := b.ops[b.at:]
	if len(rest) == 0 {
		return
	}
	if len(s.waiting) == 0 {
		s.since = now
	}
	line := make([]*operation[R], 0, len(rest)+len(s.waiting))
	for _, o := range rest {
		if o.again() {
			o.line = s.line
			line = append(line, o)
		}
	}
	s.waiting = append(line, s.waiting...)
	clear(rest)
	b.ops = b.ops[:b.at]
}

// keep keeps what was loaded for as long as it may be used.
func (s *state[R]) keep(now time.Duration, r *rules) {
	if r.keep == 0 {
		s.drop()
		return
	}
	s.until = now + r.keep
}

// drop forgets what was loaded.
func (s *state[R]) drop() {
	var none R
	s.value, s.has, s.until = none, false, 0
}

// own is told under which epoch the key is this node's; 0: it is another's. A batch that collects under another epoch ends, and
// those who wait begin anew. If they wait in vain they are taken out and returned.
func (s *state[R]) own(epoch int64) (refused []*operation[R]) {
	s.epoch = epoch
	if s.batch != nil && s.batch.phase == collecting && s.batch.epoch != epoch {
		s.batch = nil
		s.drop()
	}
	if s.batch != nil || epoch != 0 {
		return nil
	}
	s.drop()
	s.sweep()
	refused, s.waiting = s.waiting, nil
	s.line++
	return refused
}

// end makes the key free.
func (s *state[R]) end() {
	s.batch = nil
	if s.until == forever { // loaded for this batch, and it was not saved
		s.drop()
	}
}

// reuse keeps the slice of a batch that has ended for those that come.
func (s *state[R]) reuse(ops []*operation[R]) {
	clear(ops)
	switch {
	case cap(ops) > maxSpare:
	case s.waiting == nil:
		s.waiting = ops[:0]
	default:
		s.spare = ops[:0]
	}
}

// maxSpare bounds what an idle key keeps of a slice that was needed once.
const maxSpare = 1024

// clear takes everybody out: those that wait, and those of the batch, which goes on without them.
func (s *state[R]) clear() (waiting, begun []*operation[R]) {
	waiting = s.waiting
	if s.batch != nil {
		begun = s.batch.ops
	}
	s.waiting, s.spare, s.gone = nil, nil, 0
	s.line++
	return waiting, begun
}

// idle reports whether nobody needs the key: nothing is under way, nobody waits, and nothing that was loaded is of use.
func (s *state[R]) idle(now time.Duration) bool {
	return s.batch == nil && len(s.waiting) == s.gone && s.stuck == nil && (!s.has || now >= s.until)
}
