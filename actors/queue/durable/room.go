package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/registry"
	"github.com/penstock-go/penstock/supervisor"
)

// room is a system's durable queues.
type room struct {
	logger  *slog.Logger
	clock   clock.Clock
	family  atomic.Pointer[family] // nil for a moment, while it starts
	metrics *metrics
}

type (
	family = supervisor.Family[string, cell]
	// entry is how the room's directory knows a queue.
	entry = registry.Entry[string, cell]
	// cell is what the entry holds. The queue lives there and so outlives its actor.
	cell struct{ vault *vault }
)

// roomOf returns the system's room, which it starts if there is none.
func roomOf(sys *penstock.System) (*room, error) {
	return penstock.Part(sys, func() (*room, error) { return newRoom(sys) })
}

// roomIn returns the system's room if there is one, or nil.
func roomIn(sys *penstock.System) *room {
	if sys == nil {
		return nil
	}
	return penstock.LookupPart[room](sys)
}

func lookup(sys *penstock.System, name string) (*entry, bool) {
	r := roomIn(sys)
	if r == nil {
		return nil, false
	}
	return r.family.Load().Lookup(name)
}

func newRoom(sys *penstock.System) (*room, error) {
	r := &room{logger: sys.Logger(), clock: clock.New()}
	var err error
	if r.metrics, err = newMetrics(sys, r); err != nil {
		return nil, fmt.Errorf("durable queues: instruments: %w", err)
	}
	f, err := supervisor.NewFamily(sys.Tree(), supervisor.Spec[string, cell]{
		Kind:  "queue",
		Name:  "durable",
		New:   func(e *entry) actor.Actor { return &vaultActor{room: r, entry: e} },
		Ended: r.ended,
		Shut:  r.shut,
		Drain: r.drain,
	})
	if err != nil {
		r.metrics.close()
		return nil, fmt.Errorf("durable queues: %w", err)
	}
	r.family.Store(f)
	return r, nil
}

// each calls fn with every queue.
func (r *room) each(fn func(*vault)) {
	f := r.family.Load()
	if f == nil {
		return // it starts, and is empty
	}
	for e := range f.All() {
		fn(e.Value.vault)
	}
}

// ended tells who waits at a queue that its actor is no more, until its next use or for good.
func (r *room) ended(e *entry, reason error) {
	v := e.Value.vault
	if !errors.Is(reason, penstock.ErrClosed) {
		v.abandoned(reason)
		return
	}
	v.end(v.fault(reason))
}

// shut lets nothing new in.
func (r *room) shut(reason error) { r.each(func(v *vault) { v.shut(reason) }) }

// drain waits until what was handed out has been acknowledged, and closes the files.
func (r *room) drain(ctx context.Context) error {
	defer r.metrics.close()
	var errs []error
	r.each(func(v *vault) {
		select {
		case <-v.quiet:
		case <-ctx.Done():
		}
		if n := v.end(v.fault(penstock.ErrClosed)); n > 0 {
			errs = append(errs, v.fault(fmt.Errorf("%d deliveries were not acknowledged, and come again: %w", n, ctx.Err())))
		}
		errs = append(errs, v.close())
	})
	return errors.Join(errs...)
}

// vaultActor looks after one queue: it hands out, and brings back what was not acknowledged in time. What must survive it
// is in the entry, or on disk.
type vaultActor struct {
	room  *room
	entry *entry
	timer *time.Timer // rings when something is due; nil until something was
}

// wake asks a queue's actor to look. Every queue has one, and sends no second while it is on its way.
type wake struct{ vault *vault }

// Undelivered implements supervisor.Undeliverable: the next one who needs the actor must send again.
func (w *wake) Undelivered(error) { w.vault.asleep() }

func (a *vaultActor) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *wake, *actor.Started: // those who waited through a restart are in line already
		a.look()
	case *actor.Stopping:
		if a.timer != nil {
			a.timer.Stop()
		}
	}
}

// look lets the queue advance, and arms the timer for what is due next.
func (a *vaultActor) look() {
	v := a.entry.Value.vault
	again := v.advance()
	switch {
	case again == limit.Never:
		if a.timer != nil {
			a.timer.Stop()
		}
	case a.timer == nil:
		f, e := a.room.family.Load(), a.entry
		a.timer = time.AfterFunc(again, func() { f.Send(e, &wake{v}) })
	default:
		a.timer.Reset(again)
	}
}
