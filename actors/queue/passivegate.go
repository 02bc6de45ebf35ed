package queue

import (
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// What callers and the actor do to the state, under the queue's mutex. A Behavior may be a user's: when it panics the mutex
// is unlocked and the caller told, or, in the actor, the supervisor.

// caught turns a panic into an error. It is deferred itself.
func caught(err *error) {
	if reason := recover(); reason != nil {
		*err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
	}
}

// put takes an item in. It returns whether the actor is to be woken, and what has been dropped meanwhile.
func (p *Passive[T]) put(item T, r *Request) (wake bool, gone []*Item[T], err error) {
	weight := 1
	if w := p.cfg.Weights[r.Flow]; w > 0 {
		weight = w
	}
	p.mu.Lock()
	defer p.unlock(&err)
	s := &p.state
	if s.refusal != nil {
		s.refused++
		return false, nil, s.refusal
	}
	elapsed := p.room.clock.Elapsed()
	now := p.room.clock.At(elapsed)
	if s.len()+s.untold >= p.cfg.MaxSize {
		gone = s.expire(now, p.cfg.MaxTime)
		if s.len()+s.untold >= p.cfg.MaxSize {
			s.refused++
			return false, gone, &PassiveFullError{Queue: p.name, What: "items", Bound: p.cfg.MaxSize}
		}
	}
	if err := s.put(now, item, r, weight, p.cfg.MaxTime); err != nil {
		s.refused++
		return false, gone, p.fault(err)
	}
	return p.state.calls(now, elapsed, p.cfg.MaxTime), gone, nil
}

// take takes items out if there are any and nobody waits for them; else w is the caller's place in line. There are items
// and an error if a Behavior panicked in between.
func (p *Passive[T]) take(n int) (items []Item[T], w *taker[T], wake bool, gone []*Item[T], err error) {
	p.mu.Lock()
	defer p.unlock(&err)
	s := &p.state
	if s.over {
		return nil, nil, false, nil, s.refusal
	}
	elapsed := p.room.clock.Elapsed()
	now := p.room.clock.At(elapsed)
	gone = s.expire(now, p.cfg.MaxTime)
	if s.takers.n == 0 {
		if s.take(now, n, &items); items != nil {
			p.settle()
			return items, nil, p.state.calls(now, elapsed, p.cfg.MaxTime), gone, nil
		}
	}
	switch {
	case s.spent():
		p.settle()
		return nil, nil, false, gone, s.refusal
	case s.takers.n >= p.cfg.MaxTakers:
		s.refused++
		return nil, nil, false, gone, &PassiveFullError{Queue: p.name, What: "takers", Bound: p.cfg.MaxTakers}
	}
	w = p.spare.Get().(*taker[T])
	w.n = n
	s.takers.push(w)
	return nil, w, p.state.calls(now, elapsed, p.cfg.MaxTime), gone, nil
}

// leave takes a caller that gave up out of line, and reports whether it was still there.
func (p *Passive[T]) leave(w *taker[T]) bool {
	p.mu.Lock()
	in := p.state.takers.remove(w)
	p.mu.Unlock()
	if in && len(w.items) > 0 { // the actor failed while it served it
		p.giveBack(w.items)
		w.items = nil
	}
	return in
}

// confirm notes that a caller that had waited has its items.
func (p *Passive[T]) confirm(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.handed -= n
	p.state.taken += uint64(n)
	p.state.out.look(p.room.clock.Now(), p.state.taken)
	p.settle()
}

// giveBack puts items back that were handed to a caller that had given up.
func (p *Passive[T]) giveBack(items []Item[T]) {
	wake, lost, err := p.restore(items)
	p.after(wake, lost, err)
}

// restore does it. err is why those were lost that the Behavior did not take back.
func (p *Passive[T]) restore(items []Item[T]) (wake bool, lost []*Item[T], err error) {
	p.mu.Lock()
	defer p.unlock(&err)
	elapsed := p.room.clock.Elapsed()
	now := p.room.clock.At(elapsed)
	lost, err = p.state.restore(now, items)
	p.settle()
	return !p.state.over && p.state.calls(now, elapsed, p.cfg.MaxTime), lost, err
}

// advance is the actor's look: it drops what has waited too long, serves those who wait, and says when to look again.
func (p *Passive[T]) advance() (again time.Duration) {
	var gone []*Item[T]
	defer func() { p.after(false, gone, nil) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	s.next = limit.Never
	if s.over {
		return limit.Never
	}
	elapsed := p.room.clock.Elapsed()
	now := p.room.clock.At(elapsed)
	gone = s.expire(now, p.cfg.MaxTime)
	s.serve(now)
	p.settle()
	again = s.keep.Due(now, p.cfg.MaxTime)
	if again == limit.Never {
		return again
	}
	if again <= 0 {
		again = impatience
	}
	s.next = elapsed + again
	return again
}

// impatience spaces the looks of an actor whose Behavior says again and again that something is due now.
const impatience = time.Millisecond

// shut lets nothing new in. Those who wait go on taking what is there.
func (p *Passive[T]) shut(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.refusal == nil {
		p.state.refusal = p.fault(reason)
	}
	p.settle()
}

// abandoned tells those who wait that the actor was given up. What is there stays, and the next use starts the actor again.
func (p *Passive[T]) abandoned(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.next = limit.Never
	p.state.dismiss(p.fault(reason))
}

// end ends the queue, tells those who wait, and returns how many items were left. Those go to Dropped.
func (p *Passive[T]) end(reason error) (left int) {
	reason = p.fault(reason)
	gone, err := p.close(reason)
	p.after(false, gone, reason)
	if err != nil {
		p.room.logger.Error("a queue's behavior could not be closed", "queue", p.name, "err", err)
	}
	return len(gone)
}

func (p *Passive[T]) close(reason error) (gone []*Item[T], err error) {
	p.mu.Lock()
	defer p.unlock(&err)
	s := &p.state
	if s.over {
		return nil, nil
	}
	s.refusal, s.over = reason, true
	defer p.settle()
	s.dismiss(reason)
	gone = s.empty()
	return gone, s.keep.Close()
}

// settle sees to it that nobody waits for what will never come. The mutex is held.
func (p *Passive[T]) settle() {
	s := &p.state
	if !s.spent() {
		return
	}
	s.dismiss(s.refusal)
	if s.untold > 0 {
		return
	}
	select {
	case <-p.drained:
	default:
		close(p.drained)
	}
}

// unlock is deferred: it unlocks the mutex, and makes an error of a panic.
func (p *Passive[T]) unlock(err *error) {
	if reason := recover(); reason != nil {
		*err = p.fault(&penstock.PanicError{Value: reason, Stack: debug.Stack()})
	}
	p.mu.Unlock()
}

// after does what is not to be done under the mutex. because is why what is gone is gone; nil: nobody took it in time.
func (p *Passive[T]) after(wake bool, gone []*Item[T], because error) {
	if wake {
		p.seat.Wake()
	}
	if len(gone) > 0 {
		p.dispose(gone, because)
	}
}
