package bucket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/internal/crowd"
	"github.com/penstock-go/penstock/supervisor"
)

// Family is a set of buckets with the same limits, one for each ID. It is safe for concurrent use.
type Family struct {
	sys      *penstock.System
	name     string
	cfg      Config
	logger   *slog.Logger
	clock    clock.Clock
	children *supervisor.Family[string, gate]
	rules    atomic.Pointer[rules]
	mu       sync.Mutex   // held while rules are changed
	putAway  atomic.Int64 // when a bucket was put away last, after the rules' epoch; 0: none ever was. Written under mu
	crowd    *crowd.Crowd
	waiters  sync.Pool
	past     past
	metrics  *metrics
	peers    *peers // nil unless clustered
}

// NewFamily starts a family of buckets. Its name, 1 to 64 bytes of UTF-8, is unique among the system's bucket families.
// The error is [penstock.ErrInvalid], and names every bad field and the values it takes, or [penstock.ErrClosed]; then
// nothing has been started.
func NewFamily(sys *penstock.System, name string, cfg Config) (*Family, error) {
	return newFamilyAt(sys, name, cfg, openerOf(sys))
}

func newFamilyAt(sys *penstock.System, name string, cfg Config, open opener) (*Family, error) {
	cfg = cfg.withDefaults()
	if sys == nil {
		return nil, fmt.Errorf("%w bucket family %q: the system is nil; it takes one from penstock.New", penstock.ErrInvalid, name)
	}
	if name == "" || len(name) > 64 || !utf8.ValidString(name) {
		return nil, fmt.Errorf("%w bucket family: its name is %q; it takes 1 to 64 bytes of UTF-8", penstock.ErrInvalid, name)
	}
	r, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	f := &Family{
		sys:    sys,
		name:   name,
		cfg:    cfg,
		logger: sys.Logger().With("family", name),
		clock:  clock.From(r.epoch),
		crowd:  crowd.New(),
	}
	f.waiters.New = func() any { return newWaiter() }
	f.rules.Store(r)
	if cfg.Clustered {
		if f.peers, err = f.join(open); err != nil {
			return nil, fmt.Errorf("bucket family %q: %w", name, err)
		}
	}
	if f.metrics, err = newMetrics(sys.Meter(), f); err != nil {
		return nil, fmt.Errorf("bucket family %q: instruments: %w", name, errors.Join(err, f.unjoin()))
	}
	f.children, err = supervisor.NewFamily(sys.Tree(), supervisor.Spec[string, gate]{
		Kind:        "bucket",
		Name:        name,
		New:         func(e *entry) actor.Actor { return &bucketActor{entry: e} },
		Init:        f.open,
		MayForget:   f.mayForget,
		Ended:       f.ended,
		Shut:        f.shut,
		Drain:       f.drain,
		Restart:     supervisor.Transient,
		MaxChildren: cfg.MaxBuckets,
		Idle:        cfg.Idle,
	})
	if err != nil {
		f.metrics.close()
		_ = f.unjoin()
		return nil, err
	}
	if f.peers != nil {
		close(f.peers.ready)
	}
	return f, nil
}

// Name is the family's name.
func (f *Family) Name() string { return f.name }

// System is the system that the family belongs to.
func (f *Family) System() *penstock.System { return f.sys }

// Bucket returns a handle to the ID's bucket, which is started at its first use. A bad ID (empty, over 512 bytes, not
// UTF-8) is told by that use.
func (f *Family) Bucket(id string) *Bucket {
	if e, ok := f.children.Lookup(id); ok {
		return &e.Value.handle
	}
	return &Bucket{family: f, id: id}
}

// Lookup returns the ID's bucket if it lives now.
func (f *Family) Lookup(id string) (*Bucket, bool) {
	e, ok := f.children.Lookup(id)
	if !ok {
		return nil, false
	}
	return &e.Value.handle, true
}

// Len is how many buckets live now.
func (f *Family) Len() int { return f.children.Len() }

// Close ends the family: it lets nothing new in, waits until those who wait have had their turn, and stops the buckets.
// Who still waits when ctx ends is told [penstock.ErrClosed], and the error says how many. Close may be called more
// than once. Closing the system closes its families.
func (f *Family) Close(ctx context.Context) error { return f.children.Close(ctx) }

// now is the time for a gate under these rules.
func (f *Family) now(r *rules) time.Time {
	if r.wall {
		return time.Now()
	}
	return f.clock.Now()
}

// lets reports whether a request goes although its bucket could not be had: the family only looks, and is full.
func (f *Family) lets(err error) bool { return f.cfg.Shadow && errors.Is(err, penstock.ErrFull) }

// fault says at which bucket an error happened.
func (f *Family) fault(id string, err error) error {
	return fmt.Errorf("bucket %q of family %q: %w", id, f.name, err)
}

// gaveUp counts a caller whose ctx ended while it waited, and returns its error.
func (f *Family) gaveUp(ctx context.Context, id string, since time.Time) error {
	waited, err := f.since(since), ctx.Err()
	f.metrics.waited(ctx, outcomeGaveUp, waited)
	f.event(ctx, "request gave up waiting", id, waited, err)
	return fmt.Errorf("bucket %q of family %q: gave up after waiting %v: %w", id, f.name, waited.Round(time.Microsecond), err)
}

// event logs, for who debugs, what the metrics count.
func (f *Family) event(ctx context.Context, what, id string, took time.Duration, err error) {
	if f.logger.Enabled(ctx, slog.LevelDebug) {
		f.logger.LogAttrs(ctx, slog.LevelDebug, what, slog.String("bucket", id), slog.Duration("took", took), slog.Any("err", err))
	}
}
