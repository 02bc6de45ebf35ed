package queue

import (
	"sync/atomic"
	"time"
)

// Ticket is a request that waits, as a [Behavior] sees it: the Value of its items.
type Ticket struct{ w *waiter }

// waiter is a caller that waits: the message it sends to the actor, and where its answer comes. Caller and actor both try
// to decide its fate, and the first one wins.
type waiter struct {
	item            ticket
	gate            *gate
	grant           grant      // valid once reply has delivered nil
	reply           chan error // room for the one answer; nil means granted
	fate            atomic.Uint32
	counted, inLine bool // it counts as waiting; it is in the line as well. Guarded by the gate
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
func (m *room) waiterFor(g *gate, r *Request, deadline time.Time) *waiter {
	w := m.waiters.Get().(*waiter)
	w.fate.Store(undecided)
	w.gate = g
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

// dismiss takes the waiter out of its queue's count and line, if it is still there.
func (w *waiter) dismiss() {
	g := w.gate
	g.lock()
	dismissed := g.state.dismiss(&w.item)
	g.unlock(false)
	if dismissed {
		g.queue.room.crowd.Leave(1)
	}
}

// Undelivered implements supervisor.Undeliverable: no actor will handle this waiter.
func (w *waiter) Undelivered(reason error) {
	w.dismiss()
	w.refuse(w.gate.why(reason))
}

// The actor's other messages.
type (
	// wake says that something was given back, a limit has changed, or time has passed: see who may go.
	wake struct{}
	// look is the wake that an actor sends itself instead of arming its timer.
	look struct{}
	// left says that a waiter's caller gave up.
	left struct{ waiter *waiter }
)

// Undelivered implements supervisor.Undeliverable: the waiter must be counted out all the same.
func (m left) Undelivered(error) { m.waiter.dismiss() }
