package bucket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/limit"
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
	crowd    crowd
	waiters  sync.Pool
	past     past
	metrics  *metrics
}

// past is what is known of buckets that were put away.
type past struct {
	passed, refused atomic.Uint64
	mu              sync.Mutex
	told            struct{ passed, refused uint64 } // guarded by mu: the last totals, which never fall
}

// NewFamily starts a family of buckets. Its name, 1 to 64 bytes of UTF-8, is unique among the system's bucket families.
// The error is [penstock.ErrInvalid], and names every bad field and the values it takes, or [penstock.ErrClosed]; then
// nothing has been started.
func NewFamily(sys *penstock.System, name string, cfg Config) (*Family, error) {
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
		crowd:  crowd{none: make(chan struct{}, 1)},
	}
	f.waiters.New = func() any { return newWaiter() }
	f.rules.Store(r)
	if f.metrics, err = newMetrics(sys.Meter(), f); err != nil {
		return nil, fmt.Errorf("bucket family %q: instruments: %w", name, err)
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
		return nil, err
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

// Limits are the limits in force, with their names filled in.
func (f *Family) Limits() []limit.Limit { return f.rules.Load().plan.Limits() }

// Slack is the distance kept from the limits.
func (f *Family) Slack() time.Duration { return f.rules.Load().plan.Slack() }

// SetLimits changes the limits of every bucket, present and future. A limit that keeps its name keeps its history, and
// limits without names of their own are paired in order; no change refills one. So a window that gets longer counts what
// is no longer known of it as fully used, and one that gets longer than Idle does so for new IDs too: they may be those
// of buckets that were put away. Requests that wait and could never be granted any more get an error. A bad limit is an
// error and changes nothing.
func (f *Family) SetLimits(limits ...limit.Limit) error {
	return f.setPlan(func(p *limit.Plan) (*limit.Plan, error) { return p.Change(limits, p.Slack()) })
}

// SetSlack changes the distance kept from the limits; see [Config].
func (f *Family) SetSlack(d time.Duration) error {
	return f.setPlan(func(p *limit.Plan) (*limit.Plan, error) { return p.Change(p.Limits(), d) })
}

func (f *Family) setPlan(change func(*limit.Plan) (*limit.Plan, error)) error {
	var failure error
	f.update(func(r *rules) bool {
		plan, err := change(r.plan)
		if err != nil {
			failure = fmt.Errorf("%w limits of bucket family %q: %w", penstock.ErrInvalid, f.name, err)
			return false
		}
		before := r.plan
		r.withPlan(plan, f.cfg.Headroom).lengthen(f.former(), before)
		return true
	})
	if failure == nil {
		f.wakeAll()
	}
	return failure
}

// Throttle lets nothing of the whole family pass before until, in buckets present and future. It never shortens a
// longer throttle.
func (f *Family) Throttle(until time.Time) {
	until = monotonic(until)
	f.update(func(r *rules) bool {
		longer := r.throttle.IsZero() || until.After(r.throttle)
		if longer {
			r.throttle = until
		}
		return longer
	})
}

// update puts a changed copy of the rules in force, if change says that it changed them.
func (f *Family) update(change func(*rules) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.rules.Load().next(); change(r) {
		f.rules.Store(r)
	}
}

// wakeAll has every bucket at which somebody waits look at the rules anew.
func (f *Family) wakeAll() {
	for e := range f.children.All() {
		g := &e.Value
		g.mu.Lock()
		waiting := g.state.waiting() > 0
		g.mu.Unlock()
		if waiting {
			f.children.Send(e, wake{})
		}
	}
}

// Close ends the family: it lets nothing new in, waits until those who wait have had their turn, and stops the buckets.
// Who still waits when ctx ends is told [penstock.ErrClosed], and the error says how many. Close may be called more
// than once. Closing the system closes its families.
func (f *Family) Close(ctx context.Context) error { return f.children.Close(ctx) }

// open prepares a new entry.
func (f *Family) open(e *entry) {
	g := &e.Value
	r := f.rules.Load()
	g.state = newState(r, f.now(r), f.former())
	g.state.used = f.clock.Elapsed()
	g.handle.family, g.handle.id = f, e.Key()
	g.handle.entry.Store(e)
	f.metrics.created()
}

// mayForget puts the bucket away if a new one would behave the same.
func (f *Family) mayForget(e *entry) bool {
	g := &e.Value
	now, ok := g.enter(f.rules.Load())
	if !ok {
		return true
	}
	defer g.mu.Unlock()
	if !g.state.idle(f.clock.Offset(now), f.cfg.Idle) || !g.state.fresh(now) {
		return false
	}
	if !f.noteAway(g.state.rules) {
		return false
	}
	f.past.passed.Add(g.state.passed)
	f.past.refused.Add(g.state.refused())
	g.state.rules = nil
	return true
}

// noteAway notes that a bucket is put away under these rules. It returns false if they are no longer in force: a change of
// limits has to know of every bucket that was put away before it.
func (f *Family) noteAway(r *rules) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rules.Load() != r {
		return false
	}
	f.putAway.Store(int64(f.clock.Elapsed()))
	return true
}

// former is when a bucket was put away last; zero: none ever was.
func (f *Family) former() time.Time {
	if at := f.putAway.Load(); at != 0 {
		return f.clock.At(time.Duration(at))
	}
	return time.Time{}
}

// ended tells whoever waits at a bucket that its actor is no more.
func (f *Family) ended(e *entry, reason error) {
	g := &e.Value
	g.mu.Lock()
	var turnedAway []*waiter
	var calls []*call
	if b := g.state.backlog; b != nil {
		for t := range b.line.All() {
			turnedAway = append(turnedAway, t.waiter)
		}
		for _, w := range turnedAway {
			g.state.dismiss(&w.ticket)
		}
		if f.rules.Load().refusal != nil {
			calls = slices.Collect(maps.Values(b.calls))
		}
	}
	g.mu.Unlock()
	f.crowd.leave(len(turnedAway))
	for _, w := range turnedAway {
		w.refuse(reason)
	}
	for _, c := range calls {
		c.cancel()
	}
}

// shut lets nothing new in.
func (f *Family) shut(reason error) {
	f.update(func(r *rules) bool { r.refusal, r.fast = reason, false; return true })
}

// drain waits until nobody waits and no shared call runs.
func (f *Family) drain(ctx context.Context) error {
	defer f.metrics.close()
	for f.crowd.count.Load() > 0 {
		select {
		case <-f.crowd.none:
		case <-ctx.Done():
			return fmt.Errorf("bucket family %q: %d waiting requests were turned away: %w", f.name, f.crowd.count.Load(), ctx.Err())
		}
	}
	return nil
}

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
