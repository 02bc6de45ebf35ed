package bucket

import (
	"sync/atomic"
)

// waiter is a caller that waits: the message it sends to the actor, and where its answer comes. Caller and actor both
// try to decide its fate, and the first one wins.
type waiter struct {
	ticket ticket
	entry  *entry
	permit Permit     // valid once reply has delivered nil
	reply  chan error // room for the one answer; nil means granted
	fate   atomic.Uint32
	from   *correspondent // the node whose request it is; nil: this one's
	beat   beat           // the newest of from when it was granted
}

// A waiter's fate.
const (
	undecided uint32 = iota
	answered         // granted or refused; the answer is in reply or about to be
	abandoned        // the caller gave up
)

func newWaiter() *waiter {
	w := &waiter{reply: make(chan error, 1)}
	w.ticket.waiter = w
	return w
}

// waiterFor returns a waiter at e, a used one if it can. A call's is always new: who joined the call may still make it
// more urgent after it was answered.
func (f *Family) waiterFor(e *entry, c *call) *waiter {
	var w *waiter
	if c != nil {
		w = newWaiter()
		c.waiter = w
	} else {
		w = f.waiters.Get().(*waiter)
		w.fate.Store(undecided)
	}
	w.entry, w.from = e, nil
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

// dismiss takes the waiter out of its bucket's count and line, if it is still there.
func (w *waiter) dismiss() {
	g := &w.entry.Value
	g.mu.Lock()
	dismissed := g.state.dismiss(&w.ticket)
	g.mu.Unlock()
	if dismissed {
		g.handle.family.crowd.Leave(1)
	}
}

// Undelivered implements supervisor.Undeliverable: no actor will handle this waiter.
func (w *waiter) Undelivered(reason error) {
	w.dismiss()
	w.refuse(reason)
}

// The actor's other messages.
type (
	// wake says that time has passed, limits have changed or something was given back: see who may go.
	wake struct{}
	// look is the wake that an actor sends itself instead of arming its timer.
	look struct{}
	// left says that a waiter's caller gave up.
	left struct{ waiter *waiter }
	// promoted says that a waiter has become more urgent.
	promoted struct {
		waiter *waiter
		nice   int
	}
)

// Undelivered implements supervisor.Undeliverable: the waiter must be counted out all the same.
func (m left) Undelivered(error) { m.waiter.dismiss() }
