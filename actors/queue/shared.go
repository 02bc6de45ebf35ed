package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/registry"
	"github.com/penstock-go/penstock/supervisor"
)

// shared is the gate of a regulator that several queues share: its account, with a lock of its own, so that queues wait
// for one another only while they really touch the same regulator.
type shared struct {
	mu    sync.Mutex
	acct  *account           // guarded by mu
	users map[*gate]struct{} // the queues that share it; guarded by mu
	order uint64             // of locking
	name  string
	desk  *desk // nil unless it is the whole cluster's
	registry.Life
}

type sharedEntry = registry.Entry[string, shared]

// sharedActor acts on what becomes of a shared regulator: it has the queues look again when there may be room.
type sharedActor struct {
	room  *room
	entry *sharedEntry
	timer *time.Timer // of a clustered one: rings when there may be something to say
}

// changed says that a shared regulator has other numbers.
type changed struct{}

func (a *sharedActor) Receive(ctx actor.Context) {
	s := &a.entry.Value
	switch m := ctx.Message().(type) {
	case sampler.Load:
		if s.correct(a.room.clock.Now(), m) {
			s.wakeUsers()
		}
	case changed:
		s.wakeUsers()
	case word:
		s.desk.hear(s.desk.peers.now(), m)
	case *actor.Stopping:
		if a.timer != nil {
			a.timer.Stop()
		}
		return
	}
	if s.desk != nil {
		a.await(s.desk.advance(s.desk.peers.now()))
	}
}

// await has the actor look again in d.
func (a *sharedActor) await(d time.Duration) {
	switch {
	case a.timer == nil && d == limit.Never:
	case a.timer == nil:
		desk := a.entry.Value.desk
		a.timer = time.AfterFunc(d, desk.stir)
	case d == limit.Never:
		a.timer.Stop()
	default:
		a.timer.Reset(d)
	}
}

// inForce is the limit of all who share it together.
func (s *shared) inForce() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acct.inForce()
}

func (s *shared) correct(now time.Time, load sampler.Load) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acct.correct(now, load)
}

// wakeUsers has all queues that share the regulator look at their lines.
func (s *shared) wakeUsers() {
	for _, g := range s.gates() {
		g.queue.send(wake{g})
	}
}

func (s *shared) gates() []*gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	gates := make([]*gate, 0, len(s.users))
	for g := range s.users {
		gates = append(gates, g)
	}
	return gates
}

func (m *room) sharedFamily(kind string, drained func()) (*supervisor.Family[string, shared], error) {
	return supervisor.NewFamily(m.sys.Tree(), supervisor.Spec[string, shared]{
		Kind: kind,
		Name: "queues",
		New:  func(e *sharedEntry) actor.Actor { return &sharedActor{room: m, entry: e} },
		Drain: func(context.Context) error {
			drained()
			return nil
		},
	})
}

// AddGroupRate adds a rate that queues share by [GroupRate]. Its name must not be taken: else the error is
// [penstock.ErrExists].
//
// A rate that is Clustered is that of all nodes together on which it is added; the system must be one, or the error is a
// [penstock.ErrInvalid]. No second holds more than the rate, wherever the jobs run, and 95 % of it is delivered. The node that owns the
// name lets permits go, and its numbers and modifiers are in force. After a change of the owner nothing goes for as long as the events
// of a second take, or one event if that is longer. While the owner is away, Away and LocalShare decide.
func AddGroupRate(sys *penstock.System, name string, r Rate) error {
	return addShared(sys, rates, name, r)
}

// SetGroupRate changes a shared rate, at once.
func SetGroupRate(sys *penstock.System, name string, r Rate) error {
	return setShared(sys, rates, name, r)
}

// DeleteGroupRate deletes a shared rate and reports whether there was one. The queues that shared it go on without it.
func DeleteGroupRate(sys *penstock.System, name string) bool { return deleteShared(sys, rates, name) }

// AddCounter adds a counter that queues share by [NamedCounter]. Its name must not be taken: else the error is
// [penstock.ErrExists]. Its Increment is not used: each queue says its own.
//
// A counter that is Clustered is that of all nodes together on which it is added; the system must be one, or the error is a
// [penstock.ErrInvalid]. The node that owns the name lends parts of it, and its limit and modifiers are in force. What a node has that died or
// is cut off comes back after three seconds, and that node lets nothing new go after two. Jobs there that were let go before and take
// longer than the second between may run beside those that got their place. Jobs keep what they hold when the owner changes.
func AddCounter(sys *penstock.System, name string, c Counter) error {
	return addShared(sys, counters, name, c)
}

// SetCounter changes a shared counter, at once. A limit below what is in use takes nothing away: nobody goes until enough
// has been given back.
func SetCounter(sys *penstock.System, name string, c Counter) error {
	return setShared(sys, counters, name, c)
}

// DeleteCounter deletes a shared counter and reports whether there was one. The queues that shared it go on without it;
// what jobs hold of it goes with it.
func DeleteCounter(sys *penstock.System, name string) bool { return deleteShared(sys, counters, name) }

// Which of the room's two families of shared regulators.
func rates(m *room) *supervisor.Family[string, shared]    { return m.rates }
func counters(m *room) *supervisor.Family[string, shared] { return m.counters }

type familyOf func(*room) *supervisor.Family[string, shared]

func checkShared(name string, r Regulator) error {
	if err := checkName(r.kind(), name); err != nil {
		return err
	}
	if strings.Contains(name, "/") {
		return fmt.Errorf("%w %s name %q: it takes no slash, which is for counters of queues", penstock.ErrInvalid, r.kind(), name)
	}
	if err := r.validate(); err != nil {
		return fmt.Errorf("%w shared %s %q: %w", penstock.ErrInvalid, r.kind(), name, err)
	}
	return nil
}

func addShared(sys *penstock.System, of familyOf, name string, r Regulator) error {
	m, err := roomOf(sys)
	if err != nil {
		return err
	}
	if err := checkShared(name, r); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.watchFor(r); err != nil {
		return err
	}
	a := newAccount(r)
	var p *peers
	if isClustered(r) {
		if p, err = m.join(); err != nil {
			return fmt.Errorf("shared %s %q: %w", r.kind(), name, err)
		}
		a.lend(p.now(), rand.Uint64())
		a.loan.policy(r)
	}
	if m.watching {
		a.correct(m.clock.Now(), sampler.Current(m.sys))
	}
	m.orders++
	_, err = of(m).Add(name, func(e *sharedEntry) {
		s := &e.Value
		s.acct, s.order, s.name, s.users = a, m.orders, name, make(map[*gate]struct{})
		if p != nil {
			s.desk = p.desk(s, a.paced(), name)
		}
	})
	return err
}

func setShared(sys *penstock.System, of familyOf, name string, r Regulator) error {
	m, err := roomOf(sys)
	if err != nil {
		return err
	}
	if err := checkShared(name, r); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := of(m).Lookup(name)
	if !ok {
		return fmt.Errorf("%w: there is no shared %s %q", penstock.ErrInvalid, r.kind(), name)
	}
	s := &e.Value
	if clustered := s.desk != nil; clustered != isClustered(r) {
		return fmt.Errorf("%w shared %s %q: Clustered is %v; it is %v now and cannot be changed: delete it and add it anew",
			penstock.ErrInvalid, r.kind(), name, !clustered, clustered)
	}
	if err := m.watchFor(r); err != nil {
		return err
	}
	s.mu.Lock()
	s.acct.change(m.clock.Now(), r)
	if s.desk != nil {
		s.acct.loan.policy(r)
	}
	if m.watching {
		s.acct.correct(m.clock.Now(), sampler.Current(m.sys))
	}
	s.mu.Unlock()
	of(m).Send(e, changed{})
	return nil
}

func deleteShared(sys *penstock.System, of familyOf, name string) bool {
	m, err := roomOf(sys)
	if err != nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := of(m).Lookup(name)
	if !ok || !of(m).Remove(e) {
		return false
	}
	for _, g := range e.Value.gates() {
		g.forget(&e.Value)
	}
	if e.Value.desk != nil {
		e.Value.desk.goodbye()
	}
	return true
}

// regulators makes a queue's regulators, and finds those that it shares. The room is locked.
func (m *room) regulators(configured []Regulator) ([]reg, error) {
	regs := make([]reg, len(configured))
	for i, r := range configured {
		var err error
		switch r := r.(type) {
		case groupRate:
			regs[i].shared, err = lookupShared(m.rates, r.kind(), r.name)
		case namedCounter:
			if queue, counter, own := strings.Cut(r.name, "/"); own {
				regs[i].shared, err = m.share(queue, counter)
			} else {
				regs[i].shared, err = lookupShared(m.counters, r.kind(), r.name)
			}
		default:
			regs[i].acct, regs[i].own = newAccount(r), true
			continue
		}
		if err != nil {
			return nil, err
		}
		regs[i].acct = regs[i].shared.acct
	}
	return regs, nil
}

func lookupShared(f *supervisor.Family[string, shared], kind, name string) (*shared, error) {
	e, ok := f.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("there is no %s %q; it must be added before the queues that share it", kind, name)
	}
	return &e.Value, nil
}

// share makes a queue's own counter one that others share, unless it is already. The room is locked.
func (m *room) share(queue, counter string) (*shared, error) {
	e, ok := m.queues.Lookup(queue)
	if !ok {
		return nil, fmt.Errorf("named counter %q: there is no queue %q", queue+"/"+counter, queue)
	}
	m.orders++
	s := e.Value.share(counter, &shared{
		users: make(map[*gate]struct{}),
		order: m.orders,
		name:  queue + "/" + counter,
	})
	if s == nil {
		return nil, fmt.Errorf("named counter %q: queue %q has no counter %q", queue+"/"+counter, queue, counter)
	}
	return s, nil
}
