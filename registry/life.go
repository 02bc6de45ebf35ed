package registry

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// A life's state is one word, so that a sender learns with one addition whether it may go ahead: three marks, and
// below them the number of senders in flight.
const (
	retired   = 1 << 62 // closed to senders; never together with open
	open      = 1 << 61 // senders hand their messages to the actor's mailbox themselves
	dismissed = 1 << 60 // ended for good on demand; always together with retired
	senders   = dismissed>>1 - 1
)

// Life is what the supervisor knows of an entry: where its actor is, who sends to it, when it was used last. A room's Value embeds
// one, so that the room says where in memory it lies: among what every call touches, or apart from it. The zero Life is that of
// an entry that has no actor yet. It must not be copied.
type Life struct {
	actor    atomic.Pointer[Actor] // nil while no actor runs for this entry
	state    atomic.Int64
	lastUsed atomic.Int64 // offset from the tree's epoch
}

// Living is the pointer to a Value that embeds a [Life], itself or in something that it embeds.
type Living[V any] interface {
	*V
	living
}

// living has a method that only an embedded Life can give to a type of another package.
type living interface{ life() *Life }

func (l *Life) life() *Life { return l }

// Actor is one start of an entry's actor, and where it takes its messages.
type Actor struct {
	PID        *actor.PID
	Mailbox    Mailbox
	Generation uint64
}

// Mailbox is where an actor takes its messages. Post reports false, and has not taken the message, when the actor has
// ended. It is used instead of the PID because the engine drops what is sent to the PID of an actor that ends.
type Mailbox interface{ Post(message any) bool }

// Enter counts a sender in, always, and reports whether it may hand its message to the actor itself. If not, the
// message goes to the supervisor, and the sender stays counted in until the supervisor has dealt with it. So no later
// message can overtake it.
func (l *Life) Enter() bool { return l.state.Add(1)&open != 0 }

// Leave counts a sender out.
func (l *Life) Leave() { l.state.Add(-1) }

// Open lets senders go to the actor directly, unless one is in flight: then the supervisor tries again when it has
// dealt with that one's message. It reports whether the entry is open. Only the entry's supervisor calls it.
func (l *Life) Open() bool { return l.state.CompareAndSwap(0, open) || l.state.Load()&open != 0 }

// Retire closes the entry to senders, unless one is in flight. Only the entry's supervisor calls it.
func (l *Life) Retire() bool {
	return l.state.CompareAndSwap(open, retired) || l.state.CompareAndSwap(0, retired)
}

// Reopen takes back a Retire; if there is an actor, Open follows.
func (l *Life) Reopen() { l.state.And(^int64(retired)) }

// Condemn closes the entry to new senders even though some may be in flight: its actor ended and will not return.
func (l *Life) Condemn() {
	l.state.Or(retired)
	l.state.And(^int64(open))
}

// Dismiss closes the entry to new senders for good: its key no longer leads to it, and nothing sent to it is passed on to
// a successor. Only the entry's family calls it, after it took the entry out of its directory.
func (l *Life) Dismiss() {
	l.state.Or(retired | dismissed)
	l.state.And(^int64(open))
}

// Dismissed reports whether the entry was ended for good by Dismiss.
func (l *Life) Dismissed() bool { return l.state.Load()&dismissed != 0 }

// Retired reports whether the entry is closed to senders.
func (l *Life) Retired() bool { return l.state.Load()&retired != 0 }

// InFlight is the number of senders that are counted in.
func (l *Life) InFlight() int { return int(l.state.Load() & senders) }

// Actor is the running actor; nil while there is none, and the supervisor takes the message.
func (l *Life) Actor() *Actor { return l.actor.Load() }

// PID is the running actor's address, or nil.
func (l *Life) PID() *actor.PID {
	if a := l.actor.Load(); a != nil {
		return a.PID
	}
	return nil
}

// Publish makes a new actor known; senders use it after Open. Only the entry's supervisor calls it, and only after
// the actor has been spawned: a message to an address that is still being registered may panic in its sender.
func (l *Life) Publish(a *Actor) {
	l.actor.Store(a)
}

// Withdraw makes the actor unknown again, because it has ended. Only the entry's supervisor calls it.
func (l *Life) Withdraw() {
	l.state.And(^int64(open))
	l.actor.Store(nil)
}

// Generation tells the starts of actors apart: each start in a family has its own, and a later start a larger one. It is that
// of the running actor, and 0 while there is none.
func (l *Life) Generation() uint64 {
	if a := l.actor.Load(); a != nil {
		return a.Generation
	}
	return 0
}

// Touch notes that the entry was used at the given offset from the tree's epoch. It writes only when the note
// would move by more than grain, because a write is an order of magnitude dearer than the read on a busy gate.
func (l *Life) Touch(at, grain time.Duration) {
	if int64(at)-l.lastUsed.Load() > int64(grain) {
		l.lastUsed.Store(int64(at))
	}
}

// LastUsed is the offset of the last use, up to Touch's grain too early.
func (l *Life) LastUsed() time.Duration { return time.Duration(l.lastUsed.Load()) }
