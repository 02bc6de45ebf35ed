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
	b := s.run
	if s.state.stuck != nil {
		s.free(b)
		return
	}
	b.loadTook += took
	s.state.value, s.state.has, s.state.until = value, true, forever
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
	b := s.run
	if s.state.stuck != nil {
		s.free(b)
		return
	}
	b.loadTook += took
	if b.tries == 0 { // who waits has joined it
		s.state.take(b)
	}
	s.state.drop()
	p.finish(s, fmt.Errorf("batch processor %q: load: %w", p.name, err))
}

// toBeSaved ends a batch that is not to be saved, because an operation has aborted it or none has run. What has not had its
// turn is put back.
func (p *Processor[K, R]) toBeSaved(s stop[K, R]) bool {
	b := s.run
	if s.state.stuck != nil {
		s.state.drop()
		s.free(b)
		return false
	}
	s.state.putBack(b, p.clock.Elapsed())
	switch {
	case b.aborted != nil:
		s.state.drop()
		p.finish(s, b.aborted)
		return false
	case b.ran == 0: // all were cancelled
		s.free(b)
		return false
	}
	b.phase = saving
	return true
}

// saved does what follows from a save.
func (p *Processor[K, R]) saved(s stop[K, R], took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.run
	if s.state.stuck != nil {
		s.state.drop()
		s.free(b)
		return
	}
	b.saveTook += took
	now := p.clock.Elapsed()
	switch {
	case err == nil:
		s.state.keep(now, &p.rules)
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

// finish answers the callers of a batch, and makes its key free. The resource's mutex is held.
func (p *Processor[K, R]) finish(s stop[K, R], err error) {
	n := 0
	for _, o := range s.run.ops {
		if o.answer(err) {
			n++
		}
	}
	p.done(n)
	p.metrics.finished(s.entry.Key(), s.run, n, p.clock.Elapsed(), err)
	s.free(s.run)
}

// giveUp answers everybody at a key whose batch is stuck. The resource's mutex is held.
func (p *Processor[K, R]) giveUp(r *resource[K, R]) {
	b := r.state.batch
	now := p.clock.Elapsed()
	stuck := &StuckError{What: phases[b.phase], After: now - b.began}
	r.state.stuck = stuck
	p.logger.Error("a batch is stuck", "id", r.entry.Key(), "in", stuck.What, "after", stuck.After)
	err := fmt.Errorf("batch processor %q: key %v: %w", p.name, r.entry.Key(), stuck)
	n := p.abandon(r, err)
	p.metrics.finished(r.entry.Key(), b, n, now, err)
}

// abandon answers everybody at a key. What is under way goes on, and is of no interest any more. The resource's mutex is held.
func (p *Processor[K, R]) abandon(r *resource[K, R], err error) (n int) {
	s := &r.state
	lists := [][]*operation[R]{s.waiting}
	s.waiting, s.spare, s.gone = nil, nil, 0
	if s.batch != nil {
		lists = append(lists, s.batch.ops)
	}
	for _, list := range lists {
		for _, o := range list {
			if o.leave(err) {
				n++
			}
		}
	}
	p.done(n)
	return n
}
