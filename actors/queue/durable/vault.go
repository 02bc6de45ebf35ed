package durable

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// vault is a durable queue whatever its items are: what callers, the actor and the committer do under its mutex.
type vault struct {
	room   *room
	name   string
	rules  *rules
	store  *store
	seat   *seat
	handle any // the *Queue[T]

	mu      sync.Mutex
	state   state         // guarded by mu
	pending []*write      // guarded by mu: what is to be written next, in order
	writing bool          // guarded by mu: the committer runs
	called  bool          // guarded by mu: the actor is to be woken by unlock
	next    time.Duration // guarded by mu: when the actor looks by itself, after the room's epoch
	refusal error         // guarded by mu: why nothing new is let in
	over    bool          // guarded by mu: nothing is written any more
	quiet   chan struct{} // closed under mu once nothing is let in, nobody has an item, and all is written
	stopped chan struct{} // closed under mu once it is over and the committer has ended
	closing sync.Once
}

func (v *vault) fault(err error) error { return fmt.Errorf("durable queue %q: %w", v.name, err) }

// advance is the actor's look: it brings back what is overdue, ends what is hopeless, and hands out what there is to those
// who wait, in the order of their coming. It returns when to look again.
func (v *vault) advance() (again time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next = limit.Never
	if v.over {
		return limit.Never
	}
	s := &v.state
	elapsed := v.room.clock.Elapsed()
	now := v.room.clock.At(elapsed)
	if doomed := append(s.overdue(now), s.hopeless(now)...); len(doomed) > 0 {
		v.submit(&write{kind: bury, items: doomed})
	}
	for t := s.takers.first; t != nil && v.refusal == nil; t = s.takers.first {
		items := s.handOut(now, t.n)
		if len(items) == 0 {
			break
		}
		s.takers.remove(t)
		t.write = &write{kind: handOut, items: items, taker: t}
		v.submit(t.write)
	}
	v.note()
	if again = s.due(now); again != limit.Never {
		again = max(again, time.Microsecond)
		v.next = elapsed + again
	}
	return again
}

// call has unlock wake the actor if there is something for it to do. The mutex is held.
func (v *vault) call(now time.Time) {
	if v.over {
		return
	}
	s := &v.state
	wanted := false
	if s.takers.n > 0 {
		_, wanted = s.line.Peek(now)
	}
	if !wanted {
		due := s.due(now)
		wanted = due != limit.Never && v.room.clock.Offset(now)+due < v.next
	}
	v.called = v.called || wanted
	v.note()
}

// unlock unlocks the mutex and wakes the actor if it was called.
func (v *vault) unlock() {
	called := v.called
	v.called = false
	v.mu.Unlock()
	if called {
		v.seat.Wake()
	}
}

// note sees whether what Close waits for has come. The mutex is held.
func (v *vault) note() {
	if v.refusal == nil || v.writing || len(v.pending) > 0 {
		return
	}
	if v.state.out == 0 {
		shutOnce(v.quiet)
	}
	if v.over {
		shutOnce(v.stopped)
	}
}

func shutOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// shut lets nothing new in. What somebody has may still be acknowledged.
func (v *vault) shut(reason error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.refusal == nil {
		v.refusal = v.fault(reason)
	}
	v.dismiss(v.refusal)
	v.note()
}

// dismiss answers all who wait for items. The mutex is held.
func (v *vault) dismiss(reason error) {
	s := &v.state
	for t := s.takers.first; t != nil; t = s.takers.first {
		s.takers.remove(t)
		t.err = reason
		t.reply <- struct{}{}
	}
}

// abandoned tells those who wait that the actor was given up. The next use starts it again.
func (v *vault) abandoned(reason error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next = limit.Never
	v.dismiss(v.fault(reason))
}

// end ends the queue and returns how many deliveries have not been acknowledged. What is being written is waited for by
// close.
func (v *vault) end(reason error) (unacknowledged int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return 0
	}
	v.refusal, v.over = v.fault(reason), true
	v.dismiss(v.refusal)
	if !v.writing {
		v.abandon()
	}
	v.note()
	return v.state.out
}

// lastWrite is how long closing waits for a write under way.
const lastWrite = 5 * time.Second

// close waits for the write under way, and closes the file. The queue has ended.
func (v *vault) close() (err error) {
	v.closing.Do(func() {
		patience := time.NewTimer(lastWrite)
		defer patience.Stop()
		select {
		case <-v.stopped:
			err = v.store.close()
		case <-patience.C:
			err = v.fault(errors.New("a write has not come back; the file stays open"))
		}
	})
	return err
}

// caught turns a panic of a user's function into an error. It is deferred itself.
func caught(err *error) {
	if reason := recover(); reason != nil {
		*err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
	}
}
