package supervisor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// Room is a family whose children are found by name and set up one by one, such as queues or pools: each name is a member
// of type V, and has an actor that looks after it with one timer. A room of your own embeds one:
//
//	type room struct {
//		supervisor.Room[*counter]
//		metrics *metrics
//	}
//
// The zero Room is empty; [Room.Open] opens it. Its methods may be called at any time, also while it opens: metrics can be
// read and a tree can close as early as that.
type Room[V any] struct {
	spec   RoomSpec[V]
	family atomic.Pointer[Family[string, place[V]]] // nil until it is open
}

// RoomSpec says what a room's members are. Kind, Name and Advance are required. A member's state is in the member, which
// outlives its actor; so all but Advance and Receive may be called when no actor runs, and all may be called at the same time
// as the member's own methods: a lock guards the state.
//
// Shut, Abandoned and End are called in the middle of the supervisor's work: they must be short, must not wait, and must not
// call the room.
type RoomSpec[V any] struct {
	Kind string // as in [Spec]
	Name string

	// Advance is the actor's look: it does what is due and returns when to look again; [Never]: when it is woken. It is called
	// when the actor starts, at every start, when it is woken, and at the time it asked for.
	Advance func(member V) (again time.Duration)
	// Receive takes what [Seat.Send] sends; after it, the actor looks. Default: it is ignored
	Receive func(member V, message any)
	// Shut lets nothing new in: the room closes or has failed. Default: nothing
	Shut func(member V, reason error)
	// Abandoned is told, once or more, that the actor was given up: whoever waits at the member must be answered. What the
	// member holds stays, and the next wake starts an actor again. Default: nothing
	Abandoned func(member V, reason error)
	// End ends the member for good and answers whoever waits at it: it was removed, or the room has closed. It is called once
	// or more, and the first reason is the one to tell. Default: nothing
	End func(member V, reason error)
	// Drain waits until what was let in is done or ctx ends, as in [Spec]. It may call the room. Default: nothing
	Drain func(ctx context.Context) error
}

// Never is what Advance returns when only a wake is to bring the actor back. It is limit.Never.
const Never time.Duration = math.MaxInt64

// Open starts the room's family in the tree. It is called once. The error names every bad field of spec, or is [ErrClosed].
func (r *Room[V]) Open(t *Tree, spec RoomSpec[V]) error {
	r.spec = spec
	family := Spec[string, place[V]]{
		Kind:  spec.Kind,
		Name:  spec.Name,
		New:   func(e *registry.Entry[string, place[V]]) actor.Actor { return &keeper[V]{seat: &e.Value.seat} },
		Ended: func(e *registry.Entry[string, place[V]], reason error) { e.Value.seat.ended(reason) },
		Shut:  r.shut,
		Drain: spec.Drain,
	}
	if spec.Advance == nil {
		return errors.Join(
			fmt.Errorf("%w %s room %q: Advance is nil; it takes the function that does what is due", ErrInvalid, spec.Kind, spec.Name),
			family.withDefaults().validate())
	}
	f, err := NewFamily(t, family)
	if err != nil {
		return err
	}
	r.family.Store(f)
	return nil
}

func (r *Room[V]) shut(reason error) {
	for _, member := range r.All() {
		tell(r.spec.Shut, member, reason)
	}
}

func tell[V any](fn func(V, error), member V, reason error) {
	if fn != nil {
		fn(member, reason)
	}
}

// Add gives a name that nobody has to a new member, and has its actor started, without waiting for that. sit makes or
// prepares the member: it is given the seat, which the member keeps, before anybody else can find it. Errors: [ErrExists],
// [ErrClosed], also before the room is open, a [GaveUpError] if the room has failed, a [PanicError] if sit panicked.
func (r *Room[V]) Add(name string, sit func(*Seat[V]) V) error {
	f := r.family.Load()
	if f == nil {
		return fmt.Errorf("%w: the room is not open", ErrClosed)
	}
	_, err := f.Add(name, func(e *registry.Entry[string, place[V]]) {
		s := &e.Value.seat
		s.room, s.entry, s.wake.seat = r, e, s
		s.member = sit(s)
	})
	return err
}

// Lookup finds the seat of the member that has this name.
func (r *Room[V]) Lookup(name string) (*Seat[V], bool) {
	f := r.family.Load()
	if f == nil {
		return nil, false
	}
	e, ok := f.Lookup(name)
	if !ok {
		return nil, false
	}
	return &e.Value.seat, true
}

// All walks over the members, by name but in no order. Those that come or go meanwhile may be missed or seen.
func (r *Room[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		f := r.family.Load()
		if f == nil {
			return // it opens, and is empty
		}
		for e := range f.All() {
			if !yield(e.Key(), e.Value.seat.member) {
				return
			}
		}
	}
}

// Close lets nothing new in, drains, and ends every member: see [Family.Close]. The tree's Close does that too.
func (r *Room[V]) Close(ctx context.Context) error {
	f := r.family.Load()
	if f == nil {
		return nil
	}
	return f.Close(ctx)
}
