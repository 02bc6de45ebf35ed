package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// What a spawner is told. An entry by itself asks for its child to be started.
type (
	// delivery asks for the entry's child to be started, if it is not, and given the message.
	// Its sender is counted in at the entry until that has been done.
	delivery[K comparable, V any] struct {
		entry   *registry.Entry[K, V]
		message any
	}
	// exited says that a child has ended, and what it left unhandled.
	exited[K comparable, V any] struct {
		child *child[K, V]
		left  []any
	}
	// restartDue says that an entry's back-off is over.
	restartDue[K comparable, V any] struct{ entry *registry.Entry[K, V] }
	// removal asks to end an entry that was taken out of the directory.
	removal[K comparable, V any] struct {
		family *Family[K, V]
		entry  *registry.Entry[K, V]
	}
	// sweep asks to look for idle children among those below the given place.
	sweep struct{ below int }
	// startOver stops every child because the family failed; entries keep their values. If it is final, none is started
	// again.
	startOver struct {
		reason error
		final  bool
	}
	// halt stops an actor of the tree, children first.
	halt struct{}
)

// spawner supervises a share of a family's children. It alone starts and stops them, so for one key there is one order
// of events. All fields belong to its actor.
type spawner[K comparable, V any] struct {
	mailbox
	family   *Family[K, V]
	self     *actor.PID
	props    *actor.Props // of every child: they differ only in what newborn is
	children []*child[K, V]
	waiting  map[*registry.Entry[K, V]]*comeback // entries whose child failed and will be started again
	records  map[*registry.Entry[K, V]]*record   // failures that still count
	dormant  map[*registry.Entry[K, V]]struct{}  // given up; their values are kept until they may be forgotten
	late     map[*child[K, V]][]any              // what came for a child that had ended when its exited was still on its way
	newborn  *child[K, V]                        // the child that is being spawned right now
	sweeper  *time.Timer                         // nil while there is nothing to sweep
	overrule error                               // why the family started over, the last time it did
	refusal  error                               // why no child is started any more; nil while the family is sound
	alive    int                                 // children the engine has not reported as terminated
	halting  bool
}

// comeback is a restart that waits for its back-off: its timer, its cause, and the messages that came meanwhile.
type comeback struct {
	timer  *time.Timer
	cause  error
	parked []any
}

func newSpawner[K comparable, V any](f *Family[K, V]) *spawner[K, V] {
	s := &spawner[K, V]{
		family:  f,
		waiting: make(map[*registry.Entry[K, V]]*comeback),
		records: make(map[*registry.Entry[K, V]]*record),
		dormant: make(map[*registry.Entry[K, V]]struct{}),
		late:    make(map[*child[K, V]][]any),
	}
	s.dispatcher = f.tree.dispatcher
	s.props = actor.PropsFromProducer(
		func() actor.Actor { return s.newborn },
		actor.WithMailbox(func() actor.Mailbox { return s.newborn }))
	return s
}

func (s *spawner[K, V]) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *registry.Entry[K, V]:
		s.ensure(ctx, m)
	case *delivery[K, V]:
		s.deliver(ctx, m)
	case *exited[K, V]:
		s.exited(ctx, m.child, m.left)
	case restartDue[K, V]:
		s.comeBack(ctx, m.entry)
	case *removal[K, V]:
		s.remove(m.entry)
	case sweep:
		s.sweep(m.below)
	case startOver:
		s.startOver(m)
	case *actor.Terminated:
		s.alive--
		s.haltIfAlone(ctx)
	case halt:
		s.halt(ctx)
	case *actor.Stopped:
		for _, message := range s.close() {
			refuse(message, ErrClosed)
		}
	}
}

// HandleFailure is the engine asking what to do with a child that panicked: it ends, and exited decides what follows.
func (s *spawner[K, V]) HandleFailure(_ *actor.ActorSystem, _ actor.Supervisor, _ *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	reason.(failed).stop()
}

// PostUserMessage implements actor.Mailbox.
func (s *spawner[K, V]) PostUserMessage(message any) {
	if !s.Post(message) {
		refuse(message, ErrClosed)
	}
}

// send goes to the mailbox and not through the engine, which would drop the message once the spawner has ended.
func (s *spawner[K, V]) send(message any) { s.PostUserMessage(message) }

// Undelivered implements Undeliverable: the spawner has ended.
func (d *delivery[K, V]) Undelivered(reason error) {
	refuse(d.message, reason)
	d.entry.Life().Leave()
}

// Undelivered implements Undeliverable: the spawner has ended, and with it the entry's actor.
func (r *removal[K, V]) Undelivered(reason error) { r.family.tellEnded(r.entry, reason) }

// ensure starts the entry's child unless it runs, waits for its restart, or may not be started.
func (s *spawner[K, V]) ensure(ctx actor.Context, e *registry.Entry[K, V]) bool {
	life := e.Life()
	if life.PID() != nil {
		return true
	}
	if s.halting || s.refusal != nil || life.Retired() || s.waiting[e] != nil {
		return false
	}
	s.spawn(ctx, e, Started, nil, nil)
	return true
}

// spawn starts a child and gives it the messages that wait for it, before anybody else can send to it.
func (s *spawner[K, V]) spawn(ctx actor.Context, e *registry.Entry[K, V], what EventKind, cause error, parked []any) {
	f := s.family
	delete(s.dormant, e)
	c := &child[K, V]{spawner: s, entry: e, place: int32(len(s.children))}
	c.dispatcher = f.dispatcher
	s.newborn = c
	for err := actor.ErrNameExists; err != nil; { // its only error; IDs and names may hold any byte, so two can read alike
		c.start.Generation = f.births.Add(1)
		c.start.PID, err = actor.DefaultSpawner(f.tree.engine, f.address(e.Key(), c.start.Generation), s.props, ctx)
	}
	s.newborn = nil
	c.start.Mailbox = c
	s.alive++
	s.children = append(s.children, c)
	e.Life().Publish(&c.start)
	if what == Restarted {
		f.tree.counts.restarted.Add(1)
	} else {
		f.tree.counts.started.Add(1)
	}
	f.announce(what, e.Key(), c.start.Generation, cause)
	for _, message := range parked {
		s.pass(c, message)
	}
	e.Life().Open()
	s.armSweeper()
}

// pass gives a message to a child, or keeps it for its successor if it has ended.
func (s *spawner[K, V]) pass(c *child[K, V], message any) {
	if !c.Post(message) {
		s.late[c] = append(s.late[c], message)
	}
}

// deliver brings a message to the entry's child, present or future.
func (s *spawner[K, V]) deliver(ctx actor.Context, d *delivery[K, V]) {
	e, message := d.entry, d.message
	life := e.Life()
	defer func() {
		life.Leave()
		if life.Actor() != nil {
			life.Open()
		}
	}()
	switch back := s.waiting[e]; {
	case back != nil:
		back.parked = append(back.parked, message)
	case s.ensure(ctx, e):
		s.pass(life.Actor().Mailbox.(*child[K, V]), message)
	case s.halting:
		refuse(message, ErrClosed)
	case s.refusal != nil:
		refuse(message, s.refusal)
	case life.Dismissed():
		refuse(message, ErrClosed)
	default:
		s.reroute(e.Key(), message) // the entry was put away between the sender's look and its send
	}
}

func (s *spawner[K, V]) reroute(key K, message any) {
	e, ok := s.family.directory.Lookup(key) // also when the family closes: the message was let in before
	if !ok {
		var err error
		if e, err = s.family.Get(key); err != nil {
			refuse(message, err)
			return
		}
	}
	s.family.Send(e, message)
}
