package batch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// loaded has a batch collect until its time has come, or run again what it has.
func (p *Processor[K, R]) loaded(s stop[K, R], took time.Duration, value R) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.returned() {
		return
	}
	b := s.run
	b.loadTook += took
	s.state.value, s.state.has, s.state.until, s.state.under = value, true, forever, b.epoch
	b.phase = collecting
	if b.tries > 0 {
		b.phase, b.at, b.ran = queuedRun, 0, 0
		s.lane.work(s.resource)
		return
	}
	s.mu.Unlock()
	s.wake()
	s.mu.Lock()
}

// loadFailed ends a batch with the error of its load, and all who wait for it.
func (p *Processor[K, R]) loadFailed(s stop[K, R], took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.returned() {
		return
	}
	b := s.run
	b.loadTook += took
	if b.tries == 0 { // who waits has joined it
		s.state.take(b)
	}
	s.state.drop()
	err = fmt.Errorf("batch processor %q: load: %w", p.name, err)
	if errors.Is(err, ErrStaleEpoch) {
		p.lost(s, err)
		return
	}
	p.finish(s, err)
}

// holds reports whether a batch's key is this node's as it was when the batch began.
func (p *Processor[K, R]) holds(s stop[K, R]) bool {
	return p.peers == nil || p.peers.epoch(s.shard) == s.run.epoch
}

// lost ends a batch of which nothing is stored, because its key has moved. Why is nil if the node has found out itself. Who ran in it
// asks the new owner, if that can be: for them it is as if they had not. The resource's mutex is held, as in finish.
func (p *Processor[K, R]) lost(s stop[K, R], why error) {
	s.state.drop()
	if len(s.run.ops) == 0 { // those who wait are told at the next look
		s.free()
		return
	}
	s.run.lost = !p.holds(s)
	if why == nil {
		why = fmt.Errorf("batch processor %q: key %v: this node has lost it, and nothing was saved: %w", p.name, s.entry.Key(), ErrStaleEpoch)
	}
	p.finish(s, why)
}

// toBeSaved ends a batch that is not to be saved, because an operation has aborted it or none has run. What has not had its
// turn is put back.
func (p *Processor[K, R]) toBeSaved(s stop[K, R]) bool {
	if s.returned() {
		return false
	}
	b := s.run
	s.state.putBack(b, p.clock.Elapsed())
	switch {
	case b.aborted != nil:
		s.state.drop()
		p.finish(s, b.aborted)
		return false
	case b.ran == 0: // all were cancelled
		s.free()
		s.state.reuse(b.ops)
		return false
	case !p.holds(s):
		p.lost(s, nil)
		return false
	}
	b.phase = saving
	return true
}

// saved does what follows from a save.
func (p *Processor[K, R]) saved(s stop[K, R], took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.returned() {
		return
	}
	b := s.run
	b.saveTook += took
	now := p.clock.Elapsed()
	switch {
	case err == nil:
		s.state.keep(now, &p.rules)
	case errors.Is(err, ErrStaleEpoch):
		p.lost(s, fmt.Errorf("batch processor %q: save: %w", p.name, err))
		return
	case errors.Is(err, ErrConflict) && b.tries < p.cfg.MaxConflicts && now < b.deadline && p.rules.load:
		s.state.drop()
		b.tries++
		b.phase = conflicted
		pause := p.cfg.Backoff << min(b.tries-1, 6)
		b.again = now + pause - rand.N(pause/2+1)
		p.conflicts.Add(1)
		s.mu.Unlock()
		s.wake()
		s.mu.Lock()
		return
	default:
		s.state.drop()
		err = fmt.Errorf("batch processor %q: save: %w", p.name, err)
	}
	p.finish(s, err)
}

// returned reports whether the function that a batch was given up for has returned: now its key is free.
func (s stop[K, R]) returned() bool {
	if s.state.stuck == nil {
		return false
	}
	s.state.drop()
	s.free()
	return true
}

// finish makes a key free, and answers the callers of its batch. The resource's mutex is held, but not while they are answered:
// thousands may be, and many of them come again at once.
func (p *Processor[K, R]) finish(s stop[K, R], err error) {
	b := s.run
	ops := b.ops
	b.ops = nil
	s.free()
	s.mu.Unlock()
	n := 0
	for _, o := range ops {
		if b.lost && o.refuse(err) || !b.lost && o.answer(err) {
			n++
		}
	}
	p.metrics.finished(p.report(s.resource, b, n, err))
	p.done(n) // who closes has waited for the report too
	s.mu.Lock()
	s.state.reuse(ops)
}

// report describes a batch that has ended.
func (p *Processor[K, R]) report(r *resource[K, R], b *run[R], operations int, err error) Report[K] {
	return Report[K]{
		Key: r.entry.Key(), Start: p.clock.At(b.began), Operations: operations, Conflicts: b.tries,
		Load: b.loadTook, Save: b.saveTook, Total: p.clock.Elapsed() - b.began, Err: err,
	}
}

// giveUp answers everybody at a key whose batch is stuck. The resource's mutex is held.
func (p *Processor[K, R]) giveUp(r *resource[K, R]) {
	b := r.state.batch
	stuck := &StuckError{What: phases[b.phase], After: p.clock.Elapsed() - b.began}
	r.state.stuck = stuck
	p.logger.Error("a batch is stuck", "id", r.entry.Key(), "in", stuck.What, "after", stuck.After)
	err := fmt.Errorf("batch processor %q: key %v: %w", p.name, r.entry.Key(), stuck)
	behind := err
	if b.phase == saving {
		behind = fmt.Errorf("batch processor %q: key %v: %w", p.name, r.entry.Key(), &StuckError{What: "the save before", After: stuck.After})
	}
	n := p.abandon(r, behind, err)
	p.metrics.finished(p.report(r, b, n, err))
}

// abandon answers everybody at a key: those in line, and those whose batch is under way, which goes on and is of no interest any more.
// The resource's mutex is held.
func (p *Processor[K, R]) abandon(r *resource[K, R], inLine, underWay error) (n int) {
	waiting, begun := r.state.clear()
	tell := func(operations []*operation[R], err error) {
		for _, o := range operations {
			if o.leave(err) {
				n++
			}
		}
	}
	tell(waiting, inLine)
	tell(begun, underWay)
	p.done(n)
	return n
}
