package queue

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
)

// Ticket is a request that waits, as a [Behavior] sees it: the Value of its items.
type Ticket struct{ w *waiter }

// waiter is a caller that waits in line, and where its answer comes. Caller and queue both try to decide its fate, and the
// first one wins.
type waiter struct {
	item  ticket
	grant grant      // valid once reply has delivered nil
	reply chan error // room for the one answer; nil means granted
	fate  atomic.Uint32
	waits bool // it is in line; guarded by the gate
}

// A waiter's fate.
const (
	undecided uint32 = iota
	answered         // granted or refused; the answer is in reply or about to be
	abandoned        // the caller gave up
)

func newWaiter() *waiter {
	w := &waiter{reply: make(chan error, 1)}
	w.item.Value.w = w
	return w
}

// waiterFor returns a waiter for the request, a used one if it can.
func (m *room) waiterFor(r *Request, deadline time.Time) *waiter {
	w := m.waiters.Get().(*waiter)
	w.fate.Store(undecided)
	w.item.Nice, w.item.Flow, w.item.Cost, w.item.Deadline = r.Nice, r.Flow, r.Cost, deadline
	return w
}

// decide settles the waiter's fate and reports whether it was still open.
func (w *waiter) decide(fate uint32) bool { return w.fate.CompareAndSwap(undecided, fate) }

// refuse answers a waiter that is not to be granted, unless its fate is decided.
func (w *waiter) refuse(reason error) {
	if w.decide(answered) {
		w.reply <- reason
	}
}

// The actor's messages.
type (
	// wake says that there may be something to do: somebody came, something was given back, a limit has changed, or time
	// has passed.
	wake struct{ gate *gate }
	// look is the wake that an actor sends itself instead of arming its timer.
	look struct{}
)

// Undelivered implements supervisor.Undeliverable: no actor will look, so those who wait must be told. Unless it is the
// actor that failed on it: then it is started again and looks, or is given up, and the room is told.
func (m wake) Undelivered(reason error) {
	if panicked := new(penstock.PanicError); !errors.As(reason, &panicked) {
		q := m.gate.queue
		q.room.ended(q.entry, reason)
	}
}
