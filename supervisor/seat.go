package supervisor

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// Seat is a member's place in its [Room], and its line to its actor. It is safe for concurrent use. Wake, Send and Remove must
// not be called with a lock in hand that the functions of [RoomSpec] take: a dispatcher may run the actor on the caller's
// goroutine.
type Seat[V any] struct {
	member V
	room   *Room[V]
	entry  *registry.Entry[string, place[V]]
	wake   wake[V]
}

// place is what a room's directory has of a seat.
type place[V any] struct {
	seat          Seat[V]
	registry.Life // beside the seat: it is no part of what a seat can do
}

// Member is who sits there.
func (s *Seat[V]) Member() V { return s.member }

// Wake has the actor look, once or more, at what the member is from now on. Wakes that come before it does are one, and
// allocate nothing.
func (s *Seat[V]) Wake() {
	if s.wake.onItsWay.CompareAndSwap(false, true) {
		s.Send(&s.wake)
	}
}

// Send sends the actor a message for [RoomSpec.Receive], as [Family.Send] does: none is lost, and a message that implements
// [Undeliverable] is told when no actor will handle it.
func (s *Seat[V]) Send(message any) { s.room.family.Load().Send(s.entry, message) }

// Remove ends the member for good and reports whether it still had its name, which is free at once. The reason goes to
// [RoomSpec.End]; messages that are still on their way are told [ErrClosed].
func (s *Seat[V]) Remove(reason error) bool {
	tell(s.room.spec.End, s.member, reason) // first: the room's own word for it would be ErrClosed
	return s.room.family.Load().Remove(s.entry)
}

// ended tells the member that it has no actor: until its next use if it, or so many others that the room started over or
// failed, were given up; else for good.
func (s *Seat[V]) ended(reason error) {
	if _, gaveUp := reason.(*GaveUpError); gaveUp { // not errors.As: what an actor panicked with may wrap anything
		tell(s.room.spec.Abandoned, s.member, reason)
		return
	}
	tell(s.room.spec.End, s.member, reason)
}

// wake asks an actor to look. Every seat has one, which is sent again only when it has arrived.
type wake[V any] struct {
	seat     *Seat[V]
	onItsWay atomic.Bool
}

// Undelivered implements Undeliverable: the next one who needs the actor must send again. In a room that has failed there
// may have been no actor whose end would answer those who wait.
func (w *wake[V]) Undelivered(reason error) {
	w.onItsWay.Store(false)
	if _, gaveUp := reason.(*GaveUpError); gaveUp {
		tell(w.seat.room.spec.Abandoned, w.seat.member, reason)
	}
}

// keeper is the actor that looks after a member.
type keeper[V any] struct {
	seat  *Seat[V]
	timer *time.Timer // rings when Advance asked for it; nil until it has
}

func (k *keeper[V]) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wake[V]:
		m.onItsWay.Store(false) // before the look: who changes something after it must send again
		k.look()
	case *actor.Started: // there may be something to do since before a restart
		k.look()
	case *actor.Stopping:
		if k.timer != nil {
			k.timer.Stop()
		}
	case actor.SystemMessage, actor.AutoReceiveMessage:
	default:
		if receive := k.seat.room.spec.Receive; receive != nil {
			receive(k.seat.member, m)
			k.look()
		}
	}
}

// look lets the member advance, and sets the timer to when it wants that again.
func (k *keeper[V]) look() {
	switch again := k.seat.room.spec.Advance(k.seat.member); {
	case again == Never:
		if k.timer != nil {
			k.timer.Stop()
		}
	case k.timer == nil:
		k.timer = time.AfterFunc(again, k.seat.Wake)
	default:
		k.timer.Reset(again)
	}
}
