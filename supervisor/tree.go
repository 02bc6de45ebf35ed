package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/internal/clock"
)

// Config is how a [Tree] is made.
type Config struct {
	Name       string           // the root's name. Default "penstock"
	Logger     *slog.Logger     // default: nothing is logged
	Dispatcher actor.Dispatcher // how actors are run. Default: a goroutine for each burst of messages
}

// Tree is the root of supervision. Make it with [New] and end it with Close.
type Tree struct {
	engine     *actor.ActorSystem
	dispatcher actor.Dispatcher
	logger     *slog.Logger
	clock      clock.Clock
	feed       Feed[Event]
	counts     counts
	name       string
	root       *actor.PID
	rootEnded  chan struct{}
	mu         struct {
		sync.Mutex
		kinds    map[string]*actor.PID
		branches []branch // in the order of their making
		closing  bool
	}
	closed   chan struct{} // closed when Close is done
	closeErr error         // valid once closed is closed
}

// branch is a family of any key and value.
type branch interface {
	shut(reason error)
	stop(ctx context.Context) error
	Info() FamilyInfo
}

type counts struct{ started, restarted, gaveUp, passivated, stopped atomic.Uint64 }

// Info is what a tree can tell of itself. Counts are since its start.
type Info struct {
	Name                                            string
	Started, Restarted, GaveUp, Passivated, Stopped uint64
	Families                                        []FamilyInfo // in the order of their making
}

// FamilyInfo is what a tree can tell of a family.
type FamilyInfo struct {
	Kind, Name string
	Children   int   // IDs that are known now
	Err        error // why it takes nothing in any more; nil while it does
}

// New starts a tree.
func New(cfg Config) *Tree {
	if cfg.Name == "" {
		cfg.Name = "penstock"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Tree{
		engine:     newEngine(cfg.Logger),
		dispatcher: cfg.Dispatcher,
		logger:     cfg.Logger,
		clock:      clock.New(),
		name:       cfg.Name,
		rootEnded:  make(chan struct{}),
		closed:     make(chan struct{}),
	}
	t.mu.kinds = make(map[string]*actor.PID)
	root, err := t.engine.Root.SpawnNamed(t.props(&node{logger: t.logger, ended: t.rootEnded}), cfg.Name)
	if err != nil {
		panic(fmt.Sprintf("the first actor of a new engine: %v", err)) // its only error is a name that is taken
	}
	t.root = root
	return t
}

// props are those of an actor that is never made anew: it is the one given.
func (t *Tree) props(a actor.Actor) *actor.Props {
	props := actor.PropsFromProducer(func() actor.Actor { return a })
	if own, ok := a.(actor.Mailbox); ok {
		props.Configure(actor.WithMailbox(func() actor.Mailbox { return own }))
	}
	if t.dispatcher != nil {
		props.Configure(actor.WithDispatcher(t.dispatcher))
	}
	return props
}

// Engine is the protoactor-go system below, for rooms that have more actors than their children.
func (t *Tree) Engine() *actor.ActorSystem { return t.engine }

// Elapsed is the time since the tree's start.
func (t *Tree) Elapsed() time.Duration { return t.clock.Elapsed() }

// Subscribe delivers the tree's events from now on to a reader with room for buffer of them, at least one.
func (t *Tree) Subscribe(buffer int) *Subscription[Event] { return t.feed.Subscribe(buffer) }

// Info tells what the tree holds and has been through.
func (t *Tree) Info() Info {
	t.mu.Lock()
	branches := slices.Clone(t.mu.branches)
	t.mu.Unlock()
	info := Info{
		Name:       t.name,
		Started:    t.counts.started.Load(),
		Restarted:  t.counts.restarted.Load(),
		GaveUp:     t.counts.gaveUp.Load(),
		Passivated: t.counts.passivated.Load(),
		Stopped:    t.counts.stopped.Load(),
	}
	for _, b := range branches {
		info.Families = append(info.Families, b.Info())
	}
	return info
}

// graft adds a family: grow starts its actors below those of its kind. The tree cannot begin to close meanwhile.
func (t *Tree) graft(kind, name string, b branch, grow func(kind *actor.PID) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.closing {
		return ErrClosed
	}
	for _, other := range t.mu.branches {
		if info := other.Info(); info.Kind == kind && info.Name == name {
			return fmt.Errorf("%w: there is a %s family %q already", ErrInvalid, kind, name)
		}
	}
	above := t.mu.kinds[kind]
	if above == nil {
		var err error
		if above, err = t.startChild(t.root, &node{logger: t.logger}, url.PathEscape(kind), nil); err != nil {
			return err
		}
		t.mu.kinds[kind] = above
	}
	if err := grow(above); err != nil {
		return err
	}
	t.mu.branches = append(t.mu.branches, b)
	return nil
}

// startChild has a node start a as its child and waits for that. ended, if not nil, is closed at the child's end.
func (t *Tree) startChild(parent *actor.PID, a actor.Actor, name string, ended chan<- struct{}) (*actor.PID, error) {
	reply := make(chan startedChild, 1)
	t.engine.Root.Send(parent, &startChild{props: t.props(a), name: name, ended: ended, reply: reply})
	child := <-reply
	return child.pid, child.err
}

// prune forgets a family that has been closed by itself.
func (t *Tree) prune(b branch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.branches = slices.DeleteFunc(t.mu.branches, func(other branch) bool { return other == b })
}

// Close stops the intake of every family, then drains and stops them, the youngest first, then stops the tree. What
// still waits when ctx ends is told [ErrClosed]. It may be called more than once and at any time; every call returns
// when the closing is done, or its ctx.
func (t *Tree) Close(ctx context.Context) error {
	t.mu.Lock()
	first := !t.mu.closing
	t.mu.closing = true
	branches := slices.Clone(t.mu.branches)
	t.mu.Unlock()
	if !first {
		return join(ctx, t.closed, &t.closeErr)
	}
	var errs []error
	for _, b := range branches {
		b.shut(ErrClosed)
	}
	for _, b := range slices.Backward(branches) {
		errs = append(errs, b.stop(ctx))
	}
	t.engine.Root.Send(t.root, halt{})
	if err := errors.Join(errs...); !errors.Is(err, errAtWork) { // else the root cannot end either
		errs = append(errs, await(ctx, t.rootEnded, t.name))
	}
	t.feed.Close()
	t.closeErr = errors.Join(errs...)
	close(t.closed)
	return t.closeErr
}

// join waits for a closing that somebody else carries out, and returns its error.
func join(ctx context.Context, closed <-chan struct{}, err *error) error {
	select {
	case <-closed:
		return *err
	case <-ctx.Done():
	}
	select {
	case <-closed: // it was done before ctx ended, or at the same moment
		return *err
	default:
		return ctx.Err()
	}
}

// stopGrace is how long stopping may take although ctx has ended: it waits for no one but actors that are at work.
const stopGrace = 2 * time.Second

// errAtWork says that an actor does not return from Receive, and so cannot be stopped.
var errAtWork = errors.New("an actor is still at work")

// await waits for an actor's end.
func await(ctx context.Context, ended <-chan struct{}, who string) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-ended:
		return nil
	case <-grace.C:
		return fmt.Errorf("%s: %w: %w", who, errAtWork, ctx.Err())
	}
}
