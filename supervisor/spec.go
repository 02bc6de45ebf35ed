package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// Spec says what a family's children are and how they are kept. Kind, Name and New are required.
//
// The functions other than New and Drain are called by spawners or callers in the middle of their work: they must be
// short, must not wait, and must not call the family.
type Spec[K comparable, V any] struct {
	Kind string // the room: "bucket". Families of one kind have different names
	Name string

	// New makes the actor for an entry, at every start. What must survive a restart belongs into the entry's Value.
	New func(e *registry.Entry[K, V]) actor.Actor
	// Init prepares a new entry's Value before anybody sees it. If V embeds what has the [registry.Life] as a pointer, Init sets
	// that. Default: it stays zero
	Init func(e *registry.Entry[K, V])
	// MayForget is asked before an idle entry is put away; when it agrees the entry is gone. Default: always
	MayForget func(e *registry.Entry[K, V]) bool
	// Ended is told that nobody serves the entry any more, for good or until its next use: whoever waits at its Value
	// must be answered. Default: nothing
	Ended func(e *registry.Entry[K, V], reason error)
	// Shut is told, once, that no new work may be let in: the family closes or has failed. Default: nothing
	Shut func(reason error)
	// Drain waits until what was let in is done or ctx ends. Default: nothing
	Drain func(ctx context.Context) error

	Restart     Restart       // default Permanent
	Intensity   Intensity     // of a child. Default 5 in 10 s
	Escalation  Intensity     // children given up, and new beginnings of the family. Default 5 in 10 s
	Backoff     Backoff       // default 10 ms to 5 s
	MaxChildren int           // default 0: no bound
	Idle        time.Duration // unused for this long, a child is passivated. Default 0: never
	Spawners    int           // default: GOMAXPROCS, at most 16

	// Dispatcher says on which goroutines the children run. With a synchronous one a child runs on that of whoever sends to it,
	// which suits those that are called by the thousand and are done in a moment. Default: the tree's
	Dispatcher actor.Dispatcher
}

func (s Spec[K, V]) withDefaults() Spec[K, V] {
	s.Intensity = s.Intensity.withDefaults()
	s.Escalation = s.Escalation.withDefaults()
	s.Backoff = s.Backoff.withDefaults()
	if s.Spawners == 0 {
		s.Spawners = min(runtime.GOMAXPROCS(0), 16)
	}
	return s
}

func (s Spec[K, V]) validate() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(s.Kind != "", "Kind is empty; it takes the room's name")
	bad(s.Name != "", "Name is empty; it takes a name that no other family of the kind has")
	bad(s.New != nil, "New is nil; it takes the function that makes an actor")
	bad(s.Restart <= Temporary, "Restart is %d; it takes Permanent, Transient or Temporary", s.Restart)
	bad(s.MaxChildren >= 0, "MaxChildren is %d; it takes 0 (no bound) or more", s.MaxChildren)
	bad(s.Idle >= 0, "Idle is %v; it takes 0 (never) or a positive duration", s.Idle)
	bad(s.Spawners >= 1 && s.Spawners <= 1024, "Spawners is %d; it takes 1 to 1024", s.Spawners)
	errs = append(errs, s.Intensity.validate("Intensity"), s.Escalation.validate("Escalation"), s.Backoff.validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w %s family %q: %w", ErrInvalid, s.Kind, s.Name, err)
	}
	return nil
}
