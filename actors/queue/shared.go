package queue

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
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
}

type sharedEntry = registry.Entry[string, shared]

// sharedActor acts on what becomes of a shared regulator: it has the queues look again when there may be room.
type sharedActor struct {
	room  *room
	entry *sharedEntry
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
	}
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

func (m *room) sharedFamily(kind string) (*supervisor.Family[string, shared], error) {
	return supervisor.NewFamily(m.sys.Tree(), supervisor.Spec[string, shared]{
		Kind: kind,
		Name: "queues",
		New:  func(e *sharedEntry) actor.Actor { return &sharedActor{room: m, entry: e} },
	})
}

// AddGroupRate adds a rate that queues share by [GroupRate]. Its name must not be taken: else the error is
// [penstock.ErrExists].
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
	if m.watching {
		a.correct(m.clock.Now(), sampler.Current(m.sys))
	}
	m.orders++
	_, err = of(m).Add(name, func(e *sharedEntry) {
		e.Value.acct, e.Value.order, e.Value.name, e.Value.users = a, m.orders, name, make(map[*gate]struct{})
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
	if err := m.watchFor(r); err != nil {
		return err
	}
	s := &e.Value
	s.mu.Lock()
	s.acct.change(m.clock.Now(), r)
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
