package batch

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
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/internal/keys"
	"github.com/penstock-go/penstock/registry"
	"github.com/penstock-go/penstock/supervisor"
)

// Processor runs operations on resources, in batches: what comes for a key at about the same time is run on the resource after
// one load, and saved by one save. It is safe for concurrent use.
type Processor[K comparable, R any] struct {
	name    string
	cfg     Config[K, R]
	rules   rules
	logger  *slog.Logger
	clock   clock.Clock
	family  *supervisor.Family[K, resource[K, R]]
	opened  chan struct{} // closed when family is set
	agenda  agenda[K, R]
	lanes   []*lane[K, R]
	metrics *metrics[K]
	spare   sync.Pool    // of operations
	peers   *peers[K, R] // nil outside a cluster
	known   operations[R]
	began   time.Duration // when it was started

	pending   atomic.Int64 // operations that have no answer
	refused   atomic.Uint64
	conflicts atomic.Uint64

	life    context.Context // ends when the processor has closed
	end     context.CancelFunc
	closing atomic.Bool
	drained chan struct{} // closed when it closes and no operation is without an answer
	once    sync.Once
}

// NewProcessor starts a processor. Its name, 1 to 512 bytes of UTF-8, is unique among the system's processors. The error is
// [penstock.ErrInvalid], and names every bad field and the values it takes, or [penstock.ErrClosed]; then nothing has been
// started.
func NewProcessor[K comparable, R any](sys *penstock.System, name string, cfg Config[K, R]) (*Processor[K, R], error) {
	if sys == nil {
		return nil, fmt.Errorf("%w batch processor %q: the system is nil; it takes one from penstock.New", penstock.ErrInvalid, name)
	}
	return newProcessorAt(sys, name, cfg, openerOf(sys))
}

func newProcessorAt[K comparable, R any](sys *penstock.System, name string, cfg Config[K, R], open opener) (*Processor[K, R], error) {
	if name == "" || len(name) > keys.Max || !utf8.ValidString(name) {
		return nil, fmt.Errorf("%w batch processor: its name is %q; it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, name, keys.Max)
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%w batch processor %q: %w", penstock.ErrInvalid, name, err)
	}
	cfg = cfg.withDefaults()
	p := &Processor[K, R]{
		name: name, cfg: cfg, rules: cfg.rules(),
		logger:  sys.Logger().With("processor", name),
		clock:   clock.New(),
		opened:  make(chan struct{}),
		drained: make(chan struct{}),
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.spare.New = func() any { return &operation[R]{line: nowhere, reply: make(chan error, 1)} }
	p.agenda.open(p.clock, max(cfg.MinDuration, cfg.Backoff)) // what is due later goes round in the wheel
	p.openLanes()
	p.began = p.clock.Elapsed()
	var err error
	if p.metrics, err = newMetrics(sys, p); err != nil {
		return nil, fmt.Errorf("batch processor %q: instruments: %w", name, err)
	}
	if cfg.Clustered {
		if p.peers, err = newPeers(p, open); err != nil {
			p.metrics.close()
			p.end()
			return nil, fmt.Errorf("batch processor %q: %w", name, err)
		}
	}
	p.family, err = supervisor.NewFamily(sys.Tree(), supervisor.Spec[K, resource[K, R]]{
		Kind: "batch",
		Name: name,
		New:  func(e *registry.Entry[K, resource[K, R]]) actor.Actor { return keeper[K, R]{&e.Value} },
		Init: func(e *registry.Entry[K, resource[K, R]]) {
			e.Value.processor, e.Value.entry, e.Value.lane = p, e, p.lane(e.Key())
			if p.peers != nil {
				_, e.Value.shard, _ = p.peers.place(e.Key()) // whoever has it made has looked at the key
			}
		},
		MayForget:   p.mayForget,
		Drain:       p.drain,
		MaxChildren: cfg.MaxKeys,
		Idle:        cfg.Idle,
		Dispatcher:  actor.NewSynchronizedDispatcher(1), // a key's actor is done in a moment
	})
	if err != nil {
		p.peers.close()
		p.metrics.close()
		p.end()
		return nil, err
	}
	close(p.opened) // metrics can be read, other nodes can call and the tree can close before that
	return p, nil
}

func (p *Processor[K, R]) openLanes() {
	if p.cfg.ShardForKey == nil {
		p.lanes = []*lane[K, R]{newLane(p, p.cfg.Shards)}
		return
	}
	for range p.cfg.Shards {
		p.lanes = append(p.lanes, newLane(p, 1))
	}
}

// lane is where the key stands in line. A shard number out of range is taken modulo.
func (p *Processor[K, R]) lane(key K) *lane[K, R] {
	if len(p.lanes) == 1 {
		return p.lanes[0]
	}
	return p.lanes[uint(p.cfg.ShardForKey(key, len(p.lanes)))%uint(len(p.lanes))]
}

// Run has op run on the key's resource, in a batch with others, and returns when the batch was saved, or with the error that
// kept it from that: of Load, Save, or another operation's [Abort]. Operations of a key run one after another, in the order of
// their coming, and need no lock. They must be quick and do no I/O. After a conflict they run again, on a resource that was
// loaded again, so they must change nothing but the resource and what they hand to their caller; what they do then is what
// counts.
//
// A panic is answered with a [penstock.PanicError]; the batch goes on, with the resource as the operation left it.
//
// When ctx ends before the operation has run the error is [ErrCancelled] with ctx's, and nothing was changed. After that Run
// waits for the batch, whatever becomes of ctx: it is to tell the truth. Other errors: [penstock.ErrInvalid] for a nil op or a
// bad key, [penstock.ErrFull] when a bound is reached, [ErrRecursive], [StuckError], [penstock.ErrClosed]; of a clustered processor
// [NotOwnerError] and [ErrStaleEpoch], which are that nothing was stored.
func (p *Processor[K, R]) Run(ctx context.Context, key K, op func(R)) error {
	if op == nil {
		return fmt.Errorf("%w operation on batch processor %q: it is nil", penstock.ErrInvalid, p.name)
	}
	o := p.spare.Get().(*operation[R])
	o.plain = op
	return p.await(ctx, key, o)
}

// Do is [Processor.Run] for an operation that returns something. An error of op is its caller's alone: the batch goes on, with
// the resource as op left it.
func Do[K comparable, R, T any](ctx context.Context, p *Processor[K, R], key K, op func(R) (T, error)) (T, error) {
	var none T
	if op == nil {
		return none, fmt.Errorf("%w operation on batch processor %q: it is nil", penstock.ErrInvalid, p.name)
	}
	var result T
	o := p.spare.Get().(*operation[R])
	o.fn = func(value R) (err error) {
		result, err = op(value)
		return err
	}
	if err := p.await(ctx, key, o); err != nil {
		return none, err
	}
	return result, nil
}

// await puts an operation in line and waits for its answer.
func (p *Processor[K, R]) await(ctx context.Context, key K, o *operation[R]) error {
	_, err := p.try(ctx, nil, key, o)
	return err
}

// try puts an operation in line and waits for its answer. Gone is closed when nobody wants it any more; it may be nil. Moved: nothing of
// the operation is stored, and another node owns the key, or this one anew.
func (p *Processor[K, R]) try(ctx context.Context, gone <-chan struct{}, key K, o *operation[R]) (moved bool, err error) {
	if err := ctx.Err(); err != nil {
		p.putAway(o)
		return false, fmt.Errorf("batch processor %q: %w: %w", p.name, ErrCancelled, err)
	}
	if moved, err = p.peers.check(key); err != nil {
		p.putAway(o)
		return moved, err
	}
	r, err := p.enter(key, o)
	if err != nil {
		p.putAway(o)
		return gone != nil && errors.Is(err, penstock.ErrClosed), err // another node may ask the next owner
	}
	why := context.Canceled
	select {
	case err = <-o.reply:
		return p.answered(o), err
	case <-ctx.Done():
		why = ctx.Err()
	case <-gone:
	}
	if o.fate.CompareAndSwap(waits, cancelled) {
		r.leave(o) // the line still has it, so it is not used again
		return false, fmt.Errorf("batch processor %q: %w: %w", p.name, ErrCancelled, why)
	}
	err = <-o.reply
	return p.answered(o), err
}

// answered puts an operation away that has its answer.
func (p *Processor[K, R]) answered(o *operation[R]) (moved bool) {
	moved = o.lost
	if !o.left {
		p.putAway(o)
	}
	return moved
}

// putAway keeps an operation that nobody else has for the next caller.
func (p *Processor[K, R]) putAway(o *operation[R]) {
	o.plain, o.fn, o.err, o.line, o.lost = nil, nil, nil, nowhere, false
	o.fate.Store(waits)
	p.spare.Put(o)
}

// enter puts an operation in line at its key.
func (p *Processor[K, R]) enter(key K, o *operation[R]) (*resource[K, R], error) {
	for {
		e, err := p.resource(key)
		if err != nil {
			return nil, err
		}
		if joined, err := e.Value.join(o); joined || err != nil {
			return &e.Value, err
		}
		p.family.Discard(e) // it was put away; or the processor has closed, as its family says
	}
}

func (p *Processor[K, R]) resource(key K) (*registry.Entry[K, resource[K, R]], error) {
	if e, ok := p.family.Lookup(key); ok {
		return e, nil
	}
	if err := keys.Check(key); err != nil {
		return nil, fmt.Errorf("%w key of batch processor %q: %w", penstock.ErrInvalid, p.name, err)
	}
	e, err := p.family.Get(key)
	if err != nil {
		if errors.Is(err, penstock.ErrFull) {
			p.refused.Add(1)
		}
		return nil, fmt.Errorf("batch processor %q: %w", p.name, err)
	}
	return e, nil
}

// mayForget puts away a key that nobody needs.
func (p *Processor[K, R]) mayForget(e *registry.Entry[K, resource[K, R]]) bool {
	r := &e.Value
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.state.idle(p.clock.Elapsed()) {
		return false
	}
	r.state.closed = true
	return true
}

// done counts answers.
func (p *Processor[K, R]) done(n int) {
	if p.pending.Add(int64(-n)) == 0 && p.closing.Load() {
		p.once.Do(func() { close(p.drained) })
	}
}

// Close takes nothing more in, ends what collects, and returns when all is saved and every caller has its answer. What is not
// when ctx ends is answered with [penstock.ErrClosed], which the error says; what was under way may be saved all the same, and its error
// is a [cluster.ErrUnknown] too.
// The system's Close does that too.
func (p *Processor[K, R]) Close(ctx context.Context) error { return p.family.Close(ctx) }

// drain is Close, after the intake was stopped.
func (p *Processor[K, R]) drain(ctx context.Context) error {
	<-p.opened
	p.peers.close() // other nodes ask again, until another one owns what they ask about
	p.closing.Store(true)
	p.done(0)
	for e := range p.family.All() {
		e.Value.wake()
	}
	select {
	case <-p.drained:
	case <-ctx.Done():
	}
	left := p.peers.asks()
	for e := range p.family.All() {
		r := &e.Value
		r.mu.Lock()
		r.state.closed = true
		closed := fmt.Errorf("batch processor %q: key %v: %w", p.name, e.Key(), penstock.ErrClosed)
		left += p.abandon(r, closed, fmt.Errorf("%w: %w", closed, cluster.ErrUnknown))
		r.mu.Unlock()
	}
	p.agenda.close()
	for _, l := range p.lanes {
		l.close()
	}
	p.end()
	p.metrics.close()
	if left > 0 {
		return fmt.Errorf("batch processor %q: it was closed before %d operations were saved: %w", p.name, left, context.Cause(ctx))
	}
	return nil
}
