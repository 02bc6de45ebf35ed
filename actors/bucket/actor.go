package bucket

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/limit"
)

// bucketActor gives those who wait their turn. Everything that must survive it is in the entry's gate.
type bucketActor struct {
	entry  *entry
	timer  *time.Timer // rings when the head's turn may have come; nil until somebody has had to wait
	ready  []*waiter   // granted under the gate's lock, to be told after it
	inHand *waiter     // being granted; not nil after that panicked
	yields int         // times in a row that it was not worth arming the timer
	again  again       // whether it has sent itself a look
}

// again is what has become of the look that the actor sends itself.
type again uint8

const (
	none   again = iota
	wanted       // to be sent as soon as the gate is unlocked
	sent         // in the mailbox
)

// A timer takes longer to arm and to fire than the shortest waits last, so for those the actor sends itself a message
// instead: it comes back to the line after everybody else who has something to say, and has let others run. How often
// in a row is bounded, since time may stand still: it does in tests.
const (
	nearby    = 10 * time.Microsecond
	maxYields = 100
)

func (a *bucketActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *waiter:
		a.change(func(s *state) { s.join(&m.ticket) })
	case left:
		m.waiter.dismiss()
		a.change(func(*state) {}) // it may have been the head, and the next one cheaper
	case promoted:
		a.change(func(s *state) { s.promote(&m.waiter.ticket, m.nice) })
	case wake:
		a.change(func(*state) {})
	case look:
		a.again = none
		a.change(func(*state) {})
	case *actor.Started:
		a.family().event(context.Background(), "bucket started", a.entry.Key(), 0, nil)
		a.change(func(*state) {}) // those who waited through a restart are in line already
	case *actor.Stopping:
		if a.timer != nil {
			a.timer.Stop()
		}
	}
}

func (a *bucketActor) family() *Family { return a.entry.Value.handle.family }

// change applies a change to the state, lets go whose turn it is, and arms the timer for the next.
func (a *bucketActor) change(apply func(*state)) {
	g := &a.entry.Value
	now, ok := g.enter(a.family().rules.Load())
	if !ok {
		return // put away, so nobody waits
	}
	defer a.tell() // also after a panic: neither the lock nor a granted caller may be left behind
	apply(&g.state)
	a.advance(now, &g.state)
	g.unpark(a.entry)
}

// advance grants turns until the head has to wait, and arms the timer for its turn.
func (a *bucketActor) advance(now time.Time, s *state) {
	for t := s.head(); t != nil; t = s.head() {
		w := t.waiter
		if s.rules.owned {
			if now = a.look(w, s); !a.entitled(now, s) {
				return
			}
		}
		d := s.due(now)
		switch {
		case d == limit.Never: // the limits were changed to less than it costs
			s.dismiss(t)
			a.family().crowd.Leave(1)
			w.refuse(a.family().fault(a.entry.Key(), s.rules.possible(t.nice, &t.costs)))
		case d > 0:
			a.await(d)
			return
		case w.decide(answered):
			a.inHand = w
			w.permit = Permit{entry: a.entry, rules: s.rules, at: now, costs: t.costs}
			s.grant(now)
			a.inHand, a.ready, a.yields = nil, append(a.ready, w), 0
		default: // it gave up
			s.dismiss(t)
			a.family().crowd.Leave(1)
		}
	}
}

var errInterrupted = errors.New("the bucket's actor panicked while it granted the request")

// tell unlocks the gate and answers those who were granted.
func (a *bucketActor) tell() {
	g := &a.entry.Value
	interrupted := a.inHand != nil && g.state.dismiss(&a.inHand.ticket)
	g.mu.Unlock()
	for i, w := range a.ready {
		a.ready[i] = nil
		w.reply <- nil
	}
	a.family().crowd.Leave(len(a.ready))
	a.ready = a.ready[:0]
	if a.again == wanted {
		a.again = sent
		runtime.Gosched()
		a.family().children.Send(a.entry, look{})
	}
	if interrupted {
		a.family().crowd.Leave(1)
	}
	if a.inHand != nil {
		a.inHand.reply <- errInterrupted
	}
}

// await has the actor look at the line again in d.
func (a *bucketActor) await(d time.Duration) {
	f, e := a.family(), a.entry
	switch {
	case d <= nearby && a.yields < maxYields:
		a.yields++
		a.again = max(a.again, wanted)
	case a.timer == nil:
		a.yields = 0
		a.timer = time.AfterFunc(d, func() { f.children.Send(e, wake{}) })
	default:
		a.yields = 0
		a.timer.Reset(d)
	}
}
