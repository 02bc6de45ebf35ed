package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/supervisor"
)

// passiveRoom is a system's passive queues.
type passiveRoom struct {
	supervisor.Room[passiveQueue]
	logger  *slog.Logger
	clock   clock.Clock
	metrics *passiveMetrics
}

// passiveQueue is a [Passive] of any type of items.
type passiveQueue interface {
	advance() (again time.Duration)
	shut(reason error)
	abandoned(reason error)
	end(reason error) (left int)
	done() <-chan struct{}
	info() PassiveInfo
}

// passiveSeat is a queue's place in the room.
type passiveSeat = supervisor.Seat[passiveQueue]

// passiveRoomOf returns the system's room, which it opens if there is none.
func passiveRoomOf(sys *penstock.System) (*passiveRoom, error) {
	return penstock.Part(sys, func() (*passiveRoom, error) { return openPassiveRoom(sys) })
}

// passiveRoomIn returns the system's room if there is one, else one that is empty. It opens nothing.
func passiveRoomIn(sys *penstock.System) *passiveRoom {
	if sys != nil {
		if r := penstock.LookupPart[passiveRoom](sys); r != nil {
			return r
		}
	}
	return new(passiveRoom)
}

func openPassiveRoom(sys *penstock.System) (*passiveRoom, error) {
	r := &passiveRoom{logger: sys.Logger(), clock: clock.New()}
	var err error
	if r.metrics, err = newPassiveMetrics(sys, r); err != nil {
		return nil, fmt.Errorf("passive queues: instruments: %w", err)
	}
	err = r.Open(sys.Tree(), supervisor.RoomSpec[passiveQueue]{
		Kind:      "queue",
		Name:      "passive",
		Advance:   passiveQueue.advance,
		Shut:      passiveQueue.shut,
		Abandoned: passiveQueue.abandoned,
		End:       func(q passiveQueue, reason error) { q.end(reason) },
		Drain:     r.drain,
	})
	if err != nil {
		r.metrics.close()
		return nil, fmt.Errorf("passive queues: %w", err)
	}
	return r, nil
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
	for name, q := range r.All() {
		cause := awaitTakers(ctx, q)
		if left := q.end(penstock.ErrClosed); left > 0 {
			errs = append(errs, fmt.Errorf("passive queue %q: %d items were left: %w", name, left, cause))
		}
		untold = append(untold, q)
	}
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
