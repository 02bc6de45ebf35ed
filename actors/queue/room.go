package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/internal/clock"
	"github.com/penstock-go/penstock/internal/crowd"
	"github.com/penstock-go/penstock/supervisor"
)

// room is all queues of a system, and the regulators that they share.
type room struct {
	sys      *penstock.System
	logger   *slog.Logger
	clock    clock.Clock
	queues   *supervisor.Family[string, gate]
	rates    *supervisor.Family[string, shared]
	counters *supervisor.Family[string, shared]
	crowd    *crowd.Crowd // of those who wait and what is produced, in all queues
	waiters  sync.Pool
	tickets  atomic.Uint64 // of claims to shared regulators
	metrics  *instruments
	fallback atomic.Pointer[Queue] // nil: there is no default queue
	open     opener
	peers    atomic.Pointer[peers] // nil while no regulator is clustered

	// mu is held while queues and shared regulators are added, changed and deleted.
	mu       sync.Mutex
	orders   uint64 // the order of locking of the last shared regulator
	watching bool   // the samplers tell of their levels
}

// roomOf is the system's room of queues, which is made when it is needed first.
func roomOf(sys *penstock.System) (*room, error) {
	if sys == nil {
		return nil, fmt.Errorf("%w queue: the system is nil; it takes one from penstock.New", penstock.ErrInvalid)
	}
	return penstock.Part(sys, func() (*room, error) { return newRoom(sys) })
}

func newRoom(sys *penstock.System) (m *room, err error) {
	m = &room{sys: sys, logger: sys.Logger(), clock: clock.New(), crowd: crowd.New(), open: openerOf(sys)}
	m.waiters.New = func() any { return newWaiter() }
	// Samplers before regulators, and these before queues: a closing ends the youngest first.
	sampler.Current(sys)
	if m.rates, err = m.sharedFamily("group rate", m.leave); err != nil {
		return nil, err
	}
	if m.counters, err = m.sharedFamily("counter", func() {}); err != nil {
		return nil, errors.Join(err, m.rates.Close(context.Background()))
	}
	m.queues, err = supervisor.NewFamily(sys.Tree(), supervisor.Spec[string, gate]{
		Kind:  "queue",
		Name:  "queues",
		New:   func(e *entry) actor.Actor { return &queueActor{entry: e} },
		Ended: m.ended,
		Shut:  m.shut,
		Drain: m.drain,
	})
	if err == nil {
		if m.metrics, err = newInstruments(sys, m); err == nil {
			return m, nil
		}
		err = errors.Join(fmt.Errorf("queues: instruments: %w", err), m.queues.Close(context.Background()))
	}
	return nil, errors.Join(err, m.counters.Close(context.Background()), m.rates.Close(context.Background()))
}

// Add starts a queue. Its name, 1 to 512 bytes of UTF-8, must not be taken: else the error is [penstock.ErrExists]. Other
// errors: [penstock.ErrInvalid], naming every bad field and the values it takes, and [penstock.ErrClosed].
func Add(sys *penstock.System, name string, cfg Config) (*Queue, error) {
	m, err := roomOf(sys)
	if err != nil {
		return nil, err
	}
	return m.add(name, cfg)
}

// AddLinked is [Add] for a queue that lives as long as ctx: it is deleted when ctx ends.
func AddLinked(ctx context.Context, sys *penstock.System, name string, cfg Config) (*Queue, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("queue %q: %w", name, err)
	}
	m, err := roomOf(sys)
	if err != nil {
		return nil, err
	}
	q, err := m.add(name, cfg)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { m.delete(q.entry) })
	q.entry.Value.mu.Lock()
	defer q.entry.Value.mu.Unlock()
	q.unlink = stop
	return q, nil
}

// Get finds the queue of this name.
func Get(sys *penstock.System, name string) (*Queue, bool) {
	e, ok := lookup(sys, name)
	if !ok {
		return nil, false
	}
	return e.Value.queue, true
}

// lookup finds the entry of a queue. It makes nothing, not even the room.
func lookup(sys *penstock.System, name string) (*entry, bool) {
	if sys == nil {
		return nil, false
	}
	m := penstock.LookupPart[room](sys)
	if m == nil {
		return nil, false
	}
	return m.queues.Lookup(name)
}

// Delete ends the queue of this name and reports whether there was one. Who waits in it is told [penstock.ErrClosed]; jobs
// that run go on, and what they took of shared counters comes back when they are done.
func Delete(sys *penstock.System, name string) bool {
	e, ok := lookup(sys, name)
	return ok && e.Value.queue.room.delete(e)
}

// Select is the queue of this name or, if there is none, the default one: see Config.Default.
func Select(sys *penstock.System, name string) (*Queue, error) {
	m, err := roomOf(sys)
	if err != nil {
		return nil, err
	}
	if e, ok := m.queues.Lookup(name); ok {
		return e.Value.queue, nil
	}
	if q := m.fallback.Load(); q != nil {
		return q, nil
	}
	return nil, fmt.Errorf("%w: there is no queue %q and no default queue", penstock.ErrInvalid, name)
}

var errDeleted = fmt.Errorf("%w: the queue was deleted", penstock.ErrClosed)

func (m *room) add(name string, cfg Config) (q *Queue, err error) {
	if err := checkName("queue", name); err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("%w configuration of queue %q: %w", penstock.ErrInvalid, name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.queues.Lookup(name); taken {
		return nil, fmt.Errorf("%w: queue %q", penstock.ErrExists, name)
	}
	if cfg.Default && m.fallback.Load() != nil {
		return nil, fmt.Errorf("%w configuration of queue %q: Default is true, and queue %q is the default already", penstock.ErrInvalid, name, m.fallback.Load().name)
	}
	r := newRules(cfg)
	line, err := m.line(name, r)
	if err != nil {
		return nil, err
	}
	regs, err := m.regulators(cfg.Regulators)
	if err != nil {
		return nil, fmt.Errorf("%w configuration of queue %q: %w", penstock.ErrInvalid, name, err)
	}
	q = &Queue{room: m, name: name, logger: m.logger.With("queue", name), metrics: m.metrics.of(name)}
	if cfg.Stateful != nil {
		q.stateful = &keeping{keeper: cfg.Stateful.keep()}
	}
	if cfg.Producer != nil {
		q.producer = newProducing(q, cfg.Producer)
	}
	if err := m.watchFor(cfg.Regulators...); err != nil {
		return nil, err
	}
	load := sampler.Load(nil)
	if m.watching {
		load = sampler.Current(m.sys)
	}
	_, err = m.queues.Add(name, func(e *entry) {
		q.entry = e
		e.Value.open(q, r, line, regs, load)
		e.Value.attach()
	})
	if err != nil {
		_ = line.Close()
		return nil, err
	}
	if cfg.Default {
		m.fallback.Store(q)
	}
	return q, nil
}

// line makes a queue's line, which may be the user's.
func (m *room) line(name string, r *rules) (line Behavior[Ticket], err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("queue %q: Behavior: %w", name, &penstock.PanicError{Value: reason, Stack: debug.Stack()})
		}
	}()
	if line = r.newLine(); line == nil {
		return nil, fmt.Errorf("%w configuration of queue %q: Behavior returned nil", penstock.ErrInvalid, name)
	}
	return line, nil
}

// delete ends a queue.
func (m *room) delete(e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.queues.Remove(e) {
		return false
	}
	g := &e.Value
	g.mu.Lock()
	unlink := g.queue.unlink
	g.mu.Unlock()
	if unlink != nil {
		unlink()
	}
	g.refuse(errDeleted)
	m.ended(e, errDeleted)
	g.detach()
	if p := g.queue.producer; p != nil {
		p.halt(true)
	}
	m.fallback.CompareAndSwap(g.queue, nil)
	return true
}

// ended tells whoever waits in a queue that its actor is no more.
func (m *room) ended(e *entry, reason error) {
	g := &e.Value
	g.lock()
	if g.state.refusal != nil {
		reason = g.state.refusal
	}
	turnedAway := g.state.clear()
	g.woken = false // if a wake is under way nobody will act on it
	g.unlock(false)
	m.crowd.Leave(len(turnedAway))
	for _, w := range turnedAway {
		w.refuse(reason)
	}
}

// shut lets nothing new in.
func (m *room) shut(reason error) {
	for e := range m.queues.All() {
		e.Value.refuse(reason)
		if p := e.Value.queue.producer; p != nil {
			p.halt(true)
		}
	}
}

// drain waits until nobody waits and nothing produced runs.
func (m *room) drain(ctx context.Context) error {
	defer m.metrics.close()
	err := m.crowd.Wait(ctx)
	if err != nil {
		err = fmt.Errorf("queues: %d waiting requests and produced jobs were cut short: %w", m.crowd.Len(), err)
	}
	for e := range m.queues.All() {
		if p := e.Value.queue.producer; p != nil {
			p.mu.cancel()
		}
	}
	return err
}

// watchFor has the samplers tell of their levels, once there is a regulator that is to hear of them.
func (m *room) watchFor(regulators ...Regulator) error {
	if m.watching {
		return nil
	}
	for _, r := range regulators {
		if len(modifiersOf(r)) > 0 {
			return m.listen()
		}
	}
	return nil
}

// listen passes the levels on to all queues and shared regulators, whose actors act on them.
func (m *room) listen() error {
	_, err := sampler.Watch(m.sys, func(load sampler.Load) {
		for e := range m.queues.All() {
			m.queues.Send(e, load)
		}
		for e := range m.rates.All() {
			m.rates.Send(e, load)
		}
		for e := range m.counters.All() {
			m.counters.Send(e, load)
		}
	})
	m.watching = err == nil
	return err
}
