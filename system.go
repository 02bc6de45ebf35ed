package penstock

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock/supervisor"
)

// System is what everything else hangs on: buckets, and whatever else is metered, belong to one system and end with
// it. A service needs one.
type System struct {
	name   string
	logger *slog.Logger
	meter  metric.Meter
	tree   *supervisor.Tree
	parts  parts
}

// New starts a system. The error is [ErrInvalid] and names every bad option; then nothing has been started.
func New(opts ...Option) (*System, error) {
	o := defaults()
	for i, set := range opts {
		if set == nil {
			return nil, fmt.Errorf("%w options: number %d is nil", ErrInvalid, i+1)
		}
		set(&o)
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	logger := o.logger.With("system", o.name)
	return &System{
		name:   o.name,
		logger: logger,
		meter:  o.meters.Meter("github.com/penstock-go/penstock"),
		tree:   supervisor.New(supervisor.Config{Name: o.name, Logger: logger, Dispatcher: o.dispatcher}),
	}, nil
}

// Close ends the system: it lets nothing new in, waits until what was let in has had its turn, flushes, and stops every
// actor, the youngest family first. What still waits when ctx ends is told [ErrClosed], and the error says so. Close may
// be called at any time and more than once; every call returns when the closing is done, or when its own ctx ends.
func (s *System) Close(ctx context.Context) error { return s.tree.Close(ctx) }

// Name is the system's name.
func (s *System) Name() string { return s.name }

// Logger is the system's logger, for rooms.
func (s *System) Logger() *slog.Logger { return s.logger }

// Meter makes the system's instruments, for rooms.
func (s *System) Meter() metric.Meter { return s.meter }

// Tree is the system's tree of actors, for rooms: those that come with Penstock, and yours.
func (s *System) Tree() *supervisor.Tree { return s.tree }
