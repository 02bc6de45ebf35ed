package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"log/slog"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// Family is a set of children of one kind, one for each key, started on demand.
type Family[K comparable, V any] struct {
	spec       Spec[K, V]
	tree       *Tree
	logger     *slog.Logger
	directory  *registry.Directory[K, V]
	spawners   []*spawner[K, V]
	seed       maphash.Seed
	births     atomic.Uint64
	prefix     string           // of every child's address
	dispatcher actor.Dispatcher // of every child
	node       *actor.PID
	ended      chan struct{}
	refusal    atomic.Pointer[error] // why nothing is let in any more; nil while it is
	intake     sync.RWMutex          // held for writing while refusal is set: afterwards no entry is added
	closing    sync.Once
	closed     chan struct{} // closed when Close is done
	closeErr   error         // valid once closed is closed
}

// NewFamily starts a family in the tree. V embeds a [registry.Life]; the third type is inferred. The error names every bad field
// of spec, or is [ErrClosed].
func NewFamily[K comparable, V any, P registry.Living[V]](t *Tree, spec Spec[K, V]) (*Family[K, V], error) {
	spec = spec.withDefaults()
	if err := spec.validate(); err != nil {
		return nil, err
	}
	f := &Family[K, V]{
		spec:       spec,
		tree:       t,
		logger:     t.logger.With("kind", spec.Kind, "family", spec.Name),
		directory:  registry.NewDirectory[K, V, P](spec.MaxChildren),
		seed:       maphash.MakeSeed(),
		prefix:     spec.Kind + "/" + spec.Name + "/",
		dispatcher: cmp.Or(spec.Dispatcher, t.dispatcher),
		ended:      make(chan struct{}),
		closed:     make(chan struct{}),
	}
	escalation := &escalation{intensity: spec.Escalation}
	above := &node{logger: f.logger, onGaveUp: func(ctx actor.Context, m childGaveUp) { f.gaveUp(ctx, escalation, m.reason) }}
	err := t.graft(spec.Kind, spec.Name, f, func(kind *actor.PID) (err error) {
		if f.node, err = t.startChild(kind, above, url.PathEscape(spec.Name), f.ended); err != nil { // a / would make it another's child
			return fmt.Errorf("%s family %q: the last one of this name is still being stopped: %w", spec.Kind, spec.Name, err)
		}
		for i := range spec.Spawners {
			s := newSpawner(f)
			if s.self, err = t.startChild(f.node, s, strconv.Itoa(i), nil); err != nil {
				return err
			}
			f.spawners = append(f.spawners, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f.announceFamily(Started, nil)
	return f, nil
}

// Get returns the key's entry and, if it is new, has its actor started, without waiting for that. The error is
// [ErrFull], [ErrInvalid] for a key that holds what cannot be compared, [ErrClosed] or, if the family failed, a [GaveUpError]; a [PanicError] if [Spec.Init] panicked.
func (f *Family[K, V]) Get(key K) (*registry.Entry[K, V], error) {
	if refusal := f.refusal.Load(); refusal != nil {
		return nil, *refusal
	}
	if e, ok := f.directory.Lookup(key); ok {
		return e, nil
	}
	e, added, err := f.admit(key, nil)
	if added {
		f.spawnerOf(key).send(e)
	}
	return e, err
}

// Add makes the entry of a key that has none and has its actor started, without waiting for that. init prepares its Value,
// after [Spec.Init] and before anybody sees it. It is for children that are set up one by one, with something that the
// key alone does not tell. Errors are those of Get, and [ErrExists] with the entry that is there.
func (f *Family[K, V]) Add(key K, init func(*registry.Entry[K, V])) (*registry.Entry[K, V], error) {
	e, added, err := f.admit(key, init)
	if err != nil {
		return nil, err
	}
	if !added {
		return e, fmt.Errorf("%w: %s %v", ErrExists, f.spec.Kind, key)
	}
	f.spawnerOf(key).send(e)
	return e, nil
}

// Remove ends an entry for good and reports whether its key still led to it. The key is free at once. The actor stops
// after the message in its hand; what it has not handled is told [ErrClosed], and so is [Spec.Ended].
func (f *Family[K, V]) Remove(e *registry.Entry[K, V]) bool {
	if !f.directory.Remove(e) {
		return false
	}
	e.Life().Dismiss()
	f.spawnerOf(e.Key()).send(&removal[K, V]{family: f, entry: e})
	return true
}

// admit makes the entry of a key that has none yet.
func (f *Family[K, V]) admit(key K, init func(*registry.Entry[K, V])) (e *registry.Entry[K, V], added bool, err error) {
	f.intake.RLock()
	defer f.intake.RUnlock()
	if refusal := f.refusal.Load(); refusal != nil {
		return nil, false, *refusal
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = &PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	e, added, err = f.directory.LookupOrAdd(key, func(e *registry.Entry[K, V]) {
		if f.spec.Init != nil {
			f.spec.Init(e)
		}
		if init != nil {
			init(e)
		}
		e.Life().Touch(f.tree.clock.Elapsed(), -1) // after them: they may make what it lies in
	})
	switch {
	case errors.Is(err, registry.ErrFull):
		err = fmt.Errorf("%w: %s family %q holds %d IDs, as many as it may", ErrFull, f.spec.Kind, f.spec.Name, f.spec.MaxChildren)
	case err != nil:
		err = fmt.Errorf("%w: %s family %q: %w", ErrInvalid, f.spec.Kind, f.spec.Name, err)
	}
	return e, added, err
}

// Lookup returns the key's entry if there is one.
func (f *Family[K, V]) Lookup(key K) (*registry.Entry[K, V], bool) { return f.directory.Lookup(key) }

// Send routes a message to the entry's actor: the running one, or the next one if none is. A message that implements
// [Undeliverable] is told if there will be none. Messages that one sender sends to one entry keep their order.
func (f *Family[K, V]) Send(e *registry.Entry[K, V], message any) {
	life := e.Life()
	life.Touch(f.tree.clock.Elapsed(), f.spec.Idle/16)
	if life.Enter() {
		if a := life.Actor(); a != nil && a.Mailbox.Post(message) {
			life.Leave()
			return
		}
	}
	f.spawnerOf(e.Key()).send(&delivery[K, V]{entry: e, message: message})
}

// Touch notes that the entry is in use now, for a room whose callers use its Value without a message.
func (f *Family[K, V]) Touch(e *registry.Entry[K, V], now time.Time) {
	e.Life().Touch(f.tree.clock.Offset(now), f.spec.Idle/16)
}

// Discard takes out an entry whose Value says that it has been put away, so that Get makes a new one.
func (f *Family[K, V]) Discard(e *registry.Entry[K, V]) { f.directory.Remove(e) }

// Len is the number of entries.
func (f *Family[K, V]) Len() int { return f.directory.Len() }

// All walks over the entries. Those that come or go meanwhile may be missed or seen.
func (f *Family[K, V]) All() iter.Seq[*registry.Entry[K, V]] { return f.directory.All() }

// Info tells the family's size and state.
func (f *Family[K, V]) Info() FamilyInfo {
	info := FamilyInfo{Kind: f.spec.Kind, Name: f.spec.Name, Children: f.Len()}
	if refusal := f.refusal.Load(); refusal != nil {
		info.Err = *refusal
	}
	return info
}

// Close stops the intake, drains, and stops every child. What still waits when ctx ends is told [ErrClosed]. It may be
// called more than once; every call returns when the closing is done, or its ctx.
func (f *Family[K, V]) Close(ctx context.Context) error {
	f.shut(ErrClosed)
	err := f.stop(ctx)
	f.tree.prune(f)
	return err
}

// shut stops the intake. The first reason stays.
func (f *Family[K, V]) shut(reason error) {
	f.intake.Lock()
	first := f.refusal.CompareAndSwap(nil, &reason)
	f.intake.Unlock()
	if first && f.spec.Shut != nil {
		defer f.contain("Shut", nil)
		f.spec.Shut(reason)
	}
}

// stop drains the family and ends its actors.
func (f *Family[K, V]) stop(ctx context.Context) error {
	first := false
	f.closing.Do(func() { first = true })
	if !first {
		return join(ctx, f.closed, &f.closeErr)
	}
	defer close(f.closed)
	f.closeErr = f.drain(ctx)
	select {
	case <-f.ended: // the tree was quicker
	default:
		f.tree.engine.Root.Send(f.node, halt{})
	}
	f.closeErr = errors.Join(f.closeErr, await(ctx, f.ended, fmt.Sprintf("%s family %q", f.spec.Kind, f.spec.Name)))
	for e := range f.directory.All() { // those whose actor was still to be started, or had been given up
		e.Life().Condemn()
		f.tellEnded(e, ErrClosed)
		f.directory.Remove(e)
	}
	f.announceFamily(Stopped, f.closeErr)
	return f.closeErr
}

func (f *Family[K, V]) drain(ctx context.Context) (err error) {
	if f.spec.Drain == nil {
		return nil
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = &PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	return f.spec.Drain(ctx)
}

// gaveUp is the family node's answer to a child that was given up.
func (f *Family[K, V]) gaveUp(ctx actor.Context, e *escalation, cause error) {
	final := false
	switch e.judge(time.Now()) {
	case beginAgain:
		f.logger.Error("too many actors were given up; the family starts over", "cause", cause)
		f.tree.counts.restarted.Add(1)
		f.announceFamily(Restarted, cause)
	case closeDown:
		reason := &GaveUpError{Kind: f.spec.Kind, Family: f.spec.Name, Cause: cause}
		f.logger.Error("the family failed too often and takes nothing in any more", "cause", cause)
		f.tree.counts.gaveUp.Add(1)
		f.announceFamily(GaveUp, cause)
		f.shut(reason)
		cause, final = reason, true
	default:
		return
	}
	for _, s := range f.spawners {
		s.send(startOver{reason: cause, final: final})
	}
}

func (f *Family[K, V]) spawnerOf(key K) *spawner[K, V] {
	return f.spawners[maphash.Comparable(f.seed, key)%uint64(len(f.spawners))]
}

// address names a child, for people who read logs: it is unique only if names and IDs hold no / and #.
func (f *Family[K, V]) address(key K, generation uint64) string {
	id, ok := any(key).(string)
	if !ok {
		id = fmt.Sprint(key)
	}
	return f.prefix + id + "#" + strconv.FormatUint(generation, 36)
}

func (f *Family[K, V]) announce(what EventKind, key K, generation uint64, err error) {
	if f.tree.feed.Wanted() {
		f.tree.feed.Publish(Event{What: what, Kind: f.spec.Kind, Family: f.spec.Name, ID: fmt.Sprint(key), Generation: generation, Err: err, At: time.Now()})
	}
}

func (f *Family[K, V]) announceFamily(what EventKind, err error) {
	if f.tree.feed.Wanted() {
		f.tree.feed.Publish(Event{What: what, Kind: f.spec.Kind, Family: f.spec.Name, Err: err, At: time.Now()})
	}
}

// mayForget and tellEnded ask and tell the room; a panic there must not cost the spawner its place.
func (f *Family[K, V]) mayForget(e *registry.Entry[K, V]) (yes bool) {
	if f.spec.MayForget == nil {
		return true
	}
	defer f.contain("MayForget", e)
	return f.spec.MayForget(e)
}

func (f *Family[K, V]) tellEnded(e *registry.Entry[K, V], reason error) {
	if f.spec.Ended == nil {
		return
	}
	defer f.contain("Ended", e)
	f.spec.Ended(e, reason)
}

// contain is deferred around a room's function; e is nil when it is about the whole family.
func (f *Family[K, V]) contain(where string, e *registry.Entry[K, V]) {
	if reason := recover(); reason != nil {
		logger := f.logger
		if e != nil {
			logger = logger.With("id", e.Key())
		}
		logger.Error("a room's function panicked", "function", where, "panic", reason, "stack", string(debug.Stack()))
	}
}
