package queue

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

// passiveRoom is a system's passive queues.
type passiveRoom struct {
	logger  *slog.Logger
	clock   clock.Clock
	family  atomic.Pointer[passiveFamily] // nil for a moment, while it starts
	metrics *passiveMetrics
}

type (
	passiveFamily = supervisor.Family[string, passiveCell]
	// passiveEntry is how the room's directory knows a queue.
	passiveEntry = registry.Entry[string, passiveCell]
	// passiveCell is what the entry holds. The queue lives there and so outlives its actor.
	passiveCell struct{ queue passiveQueue }
)

// passiveQueue is a [Passive] of any type of items.
type passiveQueue interface {
	advance() (again time.Duration)
	asleep()
	shut(reason error)
	abandoned(reason error)
	end(reason error) (left int)
	done() <-chan struct{}
	info() PassiveInfo
}

// passiveRoomOf returns the system's room, which it starts if there is none.
func passiveRoomOf(sys *penstock.System) (*passiveRoom, error) {
	return penstock.Part(sys, func() (*passiveRoom, error) { return newPassiveRoom(sys) })
}

// passiveRoomIn returns the system's room if there is one, or nil.
func passiveRoomIn(sys *penstock.System) *passiveRoom {
	if sys == nil {
		return nil
	}
	return penstock.LookupPart[passiveRoom](sys)
}

func passiveLookup(sys *penstock.System, name string) (*passiveEntry, bool) {
	room := passiveRoomIn(sys)
	if room == nil {
		return nil, false
	}
	return room.family.Load().Lookup(name)
}

func newPassiveRoom(sys *penstock.System) (*passiveRoom, error) {
	r := &passiveRoom{logger: sys.Logger(), clock: clock.New()}
	var err error
	if r.metrics, err = newPassiveMetrics(sys, r); err != nil {
		return nil, fmt.Errorf("passive queues: instruments: %w", err)
	}
	family, err := supervisor.NewFamily(sys.Tree(), supervisor.Spec[string, passiveCell]{
		Kind:  "queue",
		Name:  "passive",
		New:   func(e *passiveEntry) actor.Actor { return &passiveActor{room: r, entry: e} },
		Ended: r.ended,
		Shut:  r.shut,
		Drain: r.drain,
	})
	if err != nil {
		r.metrics.close()
		return nil, fmt.Errorf("passive queues: %w", err)
	}
	r.family.Store(family)
	return r, nil
}

// each calls fn with every queue.
func (r *passiveRoom) each(fn func(name string, q passiveQueue)) {
	family := r.family.Load()
	if family == nil {
		return // it starts, and is empty
	}
	for e := range family.All() {
		fn(e.Key(), e.Value.queue)
	}
}

// ended tells who waits at a queue that its actor is no more, until its next use or for good.
func (r *passiveRoom) ended(e *passiveEntry, reason error) {
	if !errors.Is(reason, penstock.ErrClosed) {
		e.Value.queue.abandoned(reason)
		return
	}
	e.Value.queue.end(fmt.Errorf("passive queue %q: %w", e.Key(), reason))
}

// shut lets nothing new in.
func (r *passiveRoom) shut(reason error) {
	r.each(func(_ string, q passiveQueue) { q.shut(reason) })
}

// lastWords is how long closing waits, after its context has ended, for Dropped to be told of what was left.
const lastWords = 2 * time.Second

// drainIdle is how long closing waits for somebody to take something. Who is there to take does so at once; and if nobody
// is there a Close whose context never ends must not wait for ever.
const drainIdle = 5 * time.Second

var errNobodyTakes = fmt.Errorf("nobody has taken anything for %v", drainIdle)

// awaitTakers waits until everything has been taken, or returns why it will not be.
func awaitTakers(ctx context.Context, q passiveQueue) error {
	idle := time.NewTimer(drainIdle)
	defer idle.Stop()
	for taken := q.info().Taken; ; {
		select {
		case <-q.done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-idle.C:
			if now := q.info().Taken; now != taken {
				taken = now
				idle.Reset(drainIdle)
				continue
			}
			return errNobodyTakes
		}
	}
}

// drain waits until everything has been taken, and ends the queues. What is still there then goes to Dropped.
func (r *passiveRoom) drain(ctx context.Context) error {
	defer r.metrics.close()
	var errs []error
	var untold []passiveQueue
	r.each(func(name string, q passiveQueue) {
		cause := awaitTakers(ctx, q)
		closed := fmt.Errorf("passive queue %q: %w", name, penstock.ErrClosed)
		if left := q.end(closed); left > 0 {
			errs = append(errs, fmt.Errorf("passive queue %q: %d items were left: %w", name, left, cause))
		}
		untold = append(untold, q)
	})
	patience := time.NewTimer(lastWords)
	defer patience.Stop()
	for _, q := range untold {
		select {
		case <-q.done():
			continue
		default:
		}
		select {
		case <-q.done():
		case <-patience.C:
			return errors.Join(append(errs, errors.New("passive queues: a Dropped is still at work"))...)
		}
	}
	return errors.Join(errs...)
}

// passiveActor looks after one queue: it serves those who wait, and drops what has waited too long. What must survive it
// is in the entry.
type passiveActor struct {
	room  *passiveRoom
	entry *passiveEntry
	timer *time.Timer // rings when something is due; nil until something was
}

// passiveWake asks a queue's actor to look. Every queue has one, and sends no second while it is on its way.
type passiveWake struct{ queue passiveQueue }

// Undelivered implements supervisor.Undeliverable: the next one who needs the actor must send again.
func (w *passiveWake) Undelivered(error) { w.queue.asleep() }

func (a *passiveActor) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *passiveWake, *actor.Started: // those who waited through a restart are in line already
		a.look()
	case *actor.Stopping:
		if a.timer != nil {
			a.timer.Stop()
		}
	}
}

// look lets the queue advance, and arms the timer for what is due next.
func (a *passiveActor) look() {
	again := a.entry.Value.queue.advance()
	switch {
	case again == limit.Never:
		if a.timer != nil {
			a.timer.Stop()
		}
	case a.timer == nil:
		family, e := a.room.family.Load(), a.entry
		queue := e.Value.queue
		a.timer = time.AfterFunc(again, func() { family.Send(e, &passiveWake{queue}) })
	default:
		a.timer.Reset(again)
	}
}
