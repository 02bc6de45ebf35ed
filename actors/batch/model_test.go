package batch

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// world is one key without goroutines: its state, a shard that does what the state asks for, and a database. Beside it a naive
// model has a list of who waits, a list of who is in the batch, and what is stored.
type world struct {
	t     *rapid.T
	rules rules
	keep  bool // whether a conflict may be repeated
	state state[*[]int]
	now   time.Duration
	wake  time.Duration // when the state wants to be asked again
	hurry bool
	shard string // what the shard does: "", "load", "work", "loading", "running" or "saving"
	stale bool   // somebody else has written since the resource was loaded

	ops     []*want
	line    []*want // that wait, in order
	batch   []*want // that are in the batch, in order
	first   time.Duration
	joined  bool // somebody has come since the last batch was filled
	stored  []int
	naive   []int // what is to be stored
	foreign int
	seen    map[string]int // what has happened, over all schedules
}

// want is an operation, and what is known of it.
type want struct {
	*operation[*[]int]
	n      int
	came   time.Duration // or was put back
	gone   bool
	ran    bool // in the batch that is not saved yet
	own    error
	answer error // that it is to have, if due
	due    bool
	heard  bool
}

var (
	errAbort = errors.New("aborted")
	errOther = errors.New("other")
)

// ensure fails the schedule unless it is true. It costs next to nothing when it is.
func (w *world) ensure(ok bool, format string, args ...any) {
	if !ok {
		w.t.Fatalf(format, args...)
	}
}

func (w *world) add() {
	o := &want{operation: &operation[*[]int]{reply: make(chan error, 1)}, n: len(w.ops), came: w.now}
	o.fn = func(value *[]int) error { return w.operate(o, value) }
	w.ops, w.line = append(w.ops, o), append(w.line, o)
	if !w.joined {
		w.joined, w.first = true, w.now
	}
	if w.state.add(o.operation, w.now, &w.rules) {
		w.look()
	}
}

// operate is what every operation does; some have somebody give up meanwhile, or come.
func (w *world) operate(o *want, value *[]int) error {
	w.ensure(!o.gone, "%d was cancelled, and runs", o.n)
	w.ensure(!o.heard, "%d was answered, and runs", o.n)
	*value = append(*value, o.n)
	o.ran, o.own = true, nil
	switch rapid.IntRange(0, 19).Draw(w.t, "operation") {
	case 0:
		o.own = Abort(errAbort)
	case 1, 2:
		o.own = errOther
	case 3:
		w.cancel()
	case 4:
		w.add()
	}
	return o.own
}

func (w *world) cancel() {
	var may []*want
	for _, o := range w.ops {
		if o.fate.Load() == waits {
			may = append(may, o)
		}
	}
	if len(may) == 0 {
		return
	}
	o := rapid.SampledFrom(may).Draw(w.t, "cancelled")
	w.ensure(o.fate.CompareAndSwap(waits, cancelled), "it waits")
	w.seen["cancelled"]++
	if slices.Contains(w.batch, o) {
		w.seen["cancelled in a batch"]++
	}
	o.gone = true
	w.line = slices.DeleteFunc(w.line, func(x *want) bool { return x == o })
	w.state.cancel(o.operation)
}

// look is what the key's actor does.
func (w *world) look() {
	do, again := w.state.next(w.now, &w.rules, w.hurry)
	w.wake = again
	switch do {
	case load:
		w.ensure(w.shard == "", "a key has one batch at a time")
		w.shard = "load"
	case work:
		w.ensure(w.shard == "", "a key has one batch at a time")
		w.shard = "work"
		w.filled()
	case giveUp:
		w.seen["stuck"]++
		w.state.stuck = &StuckError{}
		for _, o := range append(slices.Clone(w.line), w.batch...) {
			if !o.gone {
				o.due, o.answer = true, w.state.stuck
				w.ensure(o.leave(w.state.stuck), "%d is answered", o.n)
			}
		}
		w.state.clear()
		w.line, w.batch, w.joined = nil, nil, false
	}
}

// filled compares a new batch with those that waited.
func (w *world) filled() {
	n := len(w.line)
	full := w.rules.operations > 0 && n >= w.rules.operations
	w.ensure(w.hurry || w.now >= w.first+w.rules.min || full, "it collects for MinDuration, unless it is full")
	if full {
		n = w.rules.operations
	}
	w.batch, w.line = slices.Clone(w.line[:n]), w.line[n:]
	w.joined = len(w.line) > 0
	got := make([]*operation[*[]int], 0, n)
	for _, o := range w.batch {
		o.ran = false
		got = append(got, o.operation)
	}
	w.ensure(len(got) == len(w.state.batch.ops), "%d are in the batch and not %d", len(w.state.batch.ops), len(got))
	for i := range got {
		w.ensure(got[i] == w.state.batch.ops[i], "in the order of their coming")
	}
}

// step has the shard do the next thing.
func (w *world) step() {
	b, s := w.state.batch, &w.state
	switch w.shard {
	case "load", "work":
		if s.stuck != nil {
			w.free()
			return
		}
		b.phase = map[string]phase{"load": loading, "work": running}[w.shard]
		w.shard = map[string]string{"load": "loading", "work": "running"}[w.shard]
	case "loading":
		w.loaded()
	case "running":
		for b.at < len(b.ops) && b.aborted == nil {
			o := b.ops[b.at]
			b.at++
			if !o.start(b.tries > 0) {
				continue
			}
			b.ran++
			b.aborted = o.run(s.value)
			if rapid.IntRange(0, 19).Draw(w.t, "large") == 0 {
				break
			}
		}
		w.toBeSaved()
	case "saving":
		w.saved()
	}
}

func (w *world) loaded() {
	s, b := &w.state, w.state.batch
	switch fails := rapid.IntRange(0, 9).Draw(w.t, "load") == 0; {
	case s.stuck != nil:
		w.free()
	case fails:
		w.seen["not loaded"]++
		if b.tries == 0 {
			s.take(b)
			w.batch, w.line, w.joined = w.line, nil, false
		}
		s.drop()
		w.finish(errLoad)
	default:
		value := slices.Clone(w.stored)
		s.value, s.has, s.until = &value, true, forever
		w.stale = false
		b.phase = collecting
		w.shard = ""
		if b.tries > 0 {
			b.phase, b.at, b.ran = queuedRun, 0, 0
			w.shard = "work"
			return
		}
		w.look()
	}
}

func (w *world) toBeSaved() {
	s, b := &w.state, w.state.batch
	if s.stuck != nil {
		s.drop()
		w.free()
		return
	}
	rest := slices.DeleteFunc(slices.Clone(w.batch[min(b.at, len(w.batch)):]), func(o *want) bool { return o.gone })
	w.batch = w.batch[:min(b.at, len(w.batch))]
	for _, o := range rest {
		if w.seen["put back"]++; o.ran {
			w.seen["put back after a conflict"]++
		}
		o.came, o.ran, o.own = w.now, false, nil
	}
	w.line = append(rest, w.line...)
	if !w.joined {
		w.joined, w.first = len(rest) > 0, w.now
	}
	s.putBack(b, w.now)
	switch {
	case b.aborted != nil:
		w.seen["aborted"]++
		s.drop()
		w.finish(b.aborted)
	case b.ran == 0:
		w.free()
	default:
		b.phase, w.shard = saving, "saving"
	}
}

func (w *world) saved() {
	s, b := &w.state, w.state.batch
	if s.stuck != nil {
		s.drop()
		w.free()
		return
	}
	switch outcome := rapid.IntRange(0, 9).Draw(w.t, "save"); {
	case outcome == 0:
		w.seen["not saved"]++
		s.drop()
		w.finish(errSave)
	case w.stale && w.keep && b.tries < 3 && w.now < b.deadline:
		s.drop()
		b.tries++
		w.seen["conflict"]++
		b.phase = conflicted
		b.again = w.now + time.Duration(rapid.IntRange(0, 3).Draw(w.t, "pause"))
		w.shard = ""
		w.look()
	case w.stale:
		s.drop()
		w.finish(ErrConflict)
	default:
		w.stored = slices.Clone(*s.value)
		for _, o := range w.batch {
			if !o.gone {
				w.ensure(o.ran, "%d is about to be answered, and has not run", o.n)
				w.naive = append(w.naive, o.n)
			}
		}
		s.keep(w.now, &w.rules)
		w.seen["saved"]++
		w.finish(nil)
	}
	w.ensure(slices.Equal(w.naive, w.stored), "%v is stored and is to be %v", w.stored, w.naive)
}

// finish answers a batch.
func (w *world) finish(err error) {
	for _, o := range w.batch {
		if o.gone {
			continue
		}
		o.due, o.answer = true, err
		if o.ran && o.own != nil {
			o.answer = o.own
		}
	}
	w.batch = nil
	for _, o := range w.state.batch.ops {
		o.answer(err)
	}
	w.free()
}

func (w *world) free() {
	s := &w.state
	w.shard, w.wake = "", forever
	s.stuck = nil
	ops := s.batch.ops
	s.end()
	s.reuse(ops)
	if len(s.waiting) > s.gone {
		w.look()
	}
}
