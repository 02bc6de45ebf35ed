package queue

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/limit"
)

// queueActor lets go those who wait. Everything that must survive it is in the entry's gate.
type queueActor struct {
	entry  *entry
	timer  *time.Timer // rings when there may be something to do; nil until somebody has had to wait
	ready  []*waiter   // let go under the gate's lock, to be told after it
	turned []turnedAway
	inHand *waiter // being let go; not nil after that panicked
	yields int     // times in a row that it was not worth arming the timer
	again  again   // whether it has sent itself a look
}

// turnedAway is a waiter to be refused once the gate is unlocked.
type turnedAway struct {
	waiter *waiter
	reason error
}

// again is what has become of the look that the actor sends itself.
type again uint8

const (
	none   again = iota
	wanted       // to be sent as soon as the gate is unlocked
	sent         // in the mailbox
)

// Waits too short for a timer: see docs/adr/0011-short-waits.md.
const (
	nearby    = 10 * time.Microsecond
	maxYields = 100
)

func (a *queueActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case wake:
		a.change(nil)
	case look:
		a.again = none
		a.change(nil)
	case sampler.Load:
		a.change(func(s *state, now time.Time) { s.correct(now, m) })
	case *actor.Started:
		a.queue().event(context.Background(), "queue started", 0, nil)
		a.change(nil) // those who waited through a restart are in line already
		a.queue().produce()
	case *actor.Stopping:
		if a.timer != nil {
			a.timer.Stop()
		}
		a.queue().stopProducing()
	}
}

func (a *queueActor) queue() *Queue { return a.entry.Value.queue }

// change applies a change to the state, lets go or refuses whose turn it is, and arms the timer for the next.
func (a *queueActor) change(apply func(*state, time.Time)) {
	g := &a.entry.Value
	g.lock()
	defer a.tell() // also after a panic: neither the locks nor a caller may be left behind
	now := a.queue().room.clock.Now()
	g.woken = false
	if g.state.lent {
		g.fence()
	}
	if apply != nil {
		apply(&g.state, now)
	}
	a.advance(now, g)
}

// advance lets go and refuses until the head has to wait, and arms the timer for what comes next.
func (a *queueActor) advance(now time.Time, g *gate) {
	s := &g.state
	for _, t := range s.timedOut(now) {
		a.turn(t.Value.w, g.refusal(now, s.reasonFor(now, t), now.Sub(t.At)))
	}
	for {
		head, why, wait := s.next(now)
		if head == nil {
			a.await(wait)
			return
		}
		w := head.Value.w
		switch {
		case why == impossible:
			i := s.impossible(head.Cost)
			s.leave(now, head)
			s.counts.refused[impossible]++
			a.turn(w, s.tooMuch(i, head.Cost))
		case why != granted:
			s.leave(now, head)
			a.turn(w, g.refusal(now, why, now.Sub(head.At)))
		case w.decide(answered):
			a.inHand = w
			s.let(now, head)
			a.inHand, a.ready, a.yields = nil, append(a.ready, w), 0
		default: // it gave up
			s.leave(now, head)
			a.queue().room.crowd.Leave(1)
		}
	}
}

// turn has a waiter, who is counted out, refused once the gate is unlocked.
func (a *queueActor) turn(w *waiter, reason error) {
	a.turned = append(a.turned, turnedAway{w, reason})
}

var errInterrupted = errors.New("the queue's actor panicked while it let the request go")

// tell unlocks the gate and answers those who were let go or refused.
func (a *queueActor) tell() {
	g := &a.entry.Value
	interrupted := a.inHand != nil && g.state.dismiss(&a.inHand.item)
	g.woken = a.again == wanted // the look that follows is as good as a wake
	g.unlock(false)
	for i, w := range a.ready {
		a.ready[i] = nil
		w.reply <- nil
	}
	for i, t := range a.turned {
		a.turned[i] = turnedAway{}
		t.waiter.refuse(t.reason)
	}
	a.queue().room.crowd.Leave(len(a.ready) + len(a.turned))
	a.ready, a.turned = a.ready[:0], a.turned[:0]
	if a.again == wanted {
		a.again = sent
		runtime.Gosched()
		a.queue().send(look{})
	}
	if interrupted {
		a.queue().room.crowd.Leave(1)
	}
	if a.inHand != nil {
		a.inHand.reply <- errInterrupted
	}
}

// await has the actor look again in d.
func (a *queueActor) await(d time.Duration) {
	switch {
	case d == limit.Never:
	case d <= nearby && a.yields < maxYields:
		a.yields++
		a.again = max(a.again, wanted)
	case a.timer == nil:
		q := a.queue()
		a.yields = 0
		a.timer = time.AfterFunc(d, func() { q.send(wake{&q.entry.Value}) })
	default:
		a.yields = 0
		a.timer.Reset(d)
	}
}
