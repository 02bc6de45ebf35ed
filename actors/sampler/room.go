package sampler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// room is what a system has of samplers: their family, and the board that shows their levels.
type room struct {
	sys      *penstock.System
	logger   *slog.Logger
	children *supervisor.Family[string, gate]
	board    *board
	workers  workers
	metrics  metric.Registration
	open     opener
	joining  sync.Mutex
	peers    atomic.Pointer[peers] // nil while no sampler is to be heard of by other nodes
}

// roomOf is the system's room, which is made when it is asked for first.
func roomOf(sys *penstock.System) (*room, error) {
	if sys == nil {
		return nil, fmt.Errorf("%w: the system is nil; it takes one from penstock.New", penstock.ErrInvalid)
	}
	return penstock.Part(sys, func() (*room, error) { return newRoom(sys) })
}

func newRoom(sys *penstock.System) (*room, error) {
	r := &room{sys: sys, logger: sys.Logger(), open: openerOf(sys)}
	r.board = newBoard(r.logger, &r.workers, &r.peers)
	var err error
	if r.metrics, err = r.register(sys.Meter()); err != nil {
		return nil, fmt.Errorf("samplers: instruments: %w", err)
	}
	r.children, err = supervisor.NewFamily(sys.Tree(), supervisor.Spec[string, gate]{
		Kind:        "sampler",
		Name:        "samplers",
		New:         func(e *entry) actor.Actor { return &samplerActor{gate: &e.Value} },
		Ended:       r.ended,
		Drain:       r.drain,
		MaxChildren: maxSamplers,
		Spawners:    1, // they are few
	})
	if err != nil {
		_ = r.metrics.Unregister()
		return nil, fmt.Errorf("samplers: %w", err)
	}
	return r, nil
}

// ended is told that a sampler has no actor. If that is for good, whoever wanted it finishes the sampler.
func (r *room) ended(e *entry, reason error) {
	if g := &e.Value; !g.Retired() {
		g.tell(g.dormant(time.Now(), reason))
	}
}

// finish ends a sampler for good.
func (r *room) finish(g *gate) {
	g.end(time.Now())
	r.board.remove(g.name(), g)
}

// drain ends all that the room has but the actors. It begins when every room above has come to its end.
func (r *room) drain(ctx context.Context) error {
	if p := r.peers.Load(); p != nil {
		p.close()
	}
	r.board.close()
	for e := range r.children.All() {
		r.finish(&e.Value)
	}
	_ = r.metrics.Unregister()
	if n := r.workers.wait(ctx); n > 0 {
		return fmt.Errorf("samplers: %d sources or watchers are still at work: %w", n, ctx.Err())
	}
	return nil
}

// attributes are those of a sampler's metrics. Its name is configuration, not a user's ID.
func (r *room) attributes(name string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(
		attribute.String("penstock.system", r.sys.Name()), attribute.String("penstock.sampler", name)))
}

// tell makes a change of the level known.
func (g *gate) tell(c change, changed bool) {
	if !changed || !g.room.board.set(g.name(), g, c) {
		return
	}
	attrs := []slog.Attr{slog.String("sampler", g.name()), slog.Int("from", c.from), slog.Int("to", c.to), slog.Float64("value", c.value)}
	if c.err != nil {
		attrs = append(attrs, slog.Any("err", c.err))
	}
	g.room.logger.LogAttrs(context.Background(), slog.LevelInfo, "the level of load has changed", attrs...)
}
