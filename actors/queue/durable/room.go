package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/supervisor"
)

// room is a system's durable queues.
type room struct {
	supervisor.Room[*vault]
	logger  *slog.Logger
	clock   clock.Clock
	metrics *metrics
}

// seat is a queue's place in the room.
type seat = supervisor.Seat[*vault]

// roomOf returns the system's room, which it opens if there is none.
func roomOf(sys *penstock.System) (*room, error) {
	return penstock.Part(sys, func() (*room, error) { return openRoom(sys) })
}

// roomIn returns the system's room if there is one, else one that is empty. It opens nothing.
func roomIn(sys *penstock.System) *room {
	if sys != nil {
		if r := penstock.LookupPart[room](sys); r != nil {
			return r
		}
	}
	return new(room)
}

func openRoom(sys *penstock.System) (*room, error) {
	r := &room{logger: sys.Logger(), clock: clock.New()}
	var err error
	if r.metrics, err = newMetrics(sys, r); err != nil {
		return nil, fmt.Errorf("durable queues: instruments: %w", err)
	}
	err = r.Open(sys.Tree(), supervisor.RoomSpec[*vault]{
		Kind:      "queue",
		Name:      "durable",
		Advance:   (*vault).advance,
		Shut:      (*vault).shut,
		Abandoned: (*vault).abandoned,
		End:       func(v *vault, reason error) { v.end(reason) },
		Drain:     r.drain,
	})
	if err != nil {
		r.metrics.close()
		return nil, fmt.Errorf("durable queues: %w", err)
	}
	return r, nil
}

// drain waits until what was handed out has been acknowledged, and closes the files.
func (r *room) drain(ctx context.Context) error {
	defer r.metrics.close()
	var errs []error
	for _, v := range r.All() {
		select {
		case <-v.quiet:
		case <-ctx.Done():
		}
		if n := v.end(penstock.ErrClosed); n > 0 {
			errs = append(errs, v.fault(fmt.Errorf("%d deliveries were not acknowledged, and come again: %w", n, ctx.Err())))
		}
		errs = append(errs, v.close())
	}
	return errors.Join(errs...)
}
