package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// Passive is a queue of items that somebody comes to take: jobs' passive queue, with types. It is supervised, bounded and
// safe for concurrent use. Make it with [AddPassive]. What it holds is in memory; package durable has one that is on disk.
//
// Closing the system closes it: nothing more comes in, and Close waits until what is there has been taken, its
// context ends, or nobody has taken anything for 5 seconds: what is left then goes to Dropped.
type Passive[T any] struct {
	room  *passiveRoom
	name  string
	cfg   PassiveConfig[T]
	seat  *passiveSeat
	spare sync.Pool // of *taker[T]

	mu      sync.Mutex
	state   passiveState[T]  // guarded by mu
	drops   []passiveDrop[T] // guarded by mu: what Dropped is still to be told
	telling bool             // guarded by mu: a goroutine tells it
	drained chan struct{}    // closed under mu when nothing comes in any more, nothing is left, and Dropped knows
}

// PassiveConfig says what a passive queue holds and in which order. The zero PassiveConfig is a FIFO of 10,000.
type PassiveConfig[T any] struct {
	// MaxSize is how many items it may hold; one more is refused at once. Those that Dropped has not been told of yet count.
	// Default 10,000
	MaxSize int
	// MaxTime is how long an item may wait to be taken; then it is dropped. Default 0: as long as it takes
	MaxTime time.Duration
	// MaxTakers is how many callers may wait in Dequeue; one more is refused at once. Default 10,000
	MaxTakers int
	// Line is which item goes first inside a niceness and a flow. Default FIFO
	Line LineConfig
	// Weights are the shares of flows inside a niceness, by Request.Flow. Default: 1 for each flow
	Weights map[string]int
	// Behavior makes what keeps the items, in place of the line that Line and Weights describe. Default nil
	Behavior func() (Behavior[T], error)
	// Dropped is told, one at a time and in order, of each item that was taken in and will not be handed out, and why: a
	// [*PassiveTimeoutError], or an error that is [penstock.ErrClosed]. It runs on a goroutine of its own and may use the
	// queue. Closing waits for it. Default nil: nobody is told
	Dropped func(Item[T], error)
}

// PassiveFullError says that a passive queue holds as many items, or lets as many callers wait, as it may. It is an
// [penstock.ErrFull].
type PassiveFullError struct {
	Queue string
	What  string // "items" or "takers"
	Bound int    // how many there may be
}

func (e *PassiveFullError) Error() string {
	return fmt.Sprintf("passive queue %q: it has %d %s, as many as it may", e.Queue, e.Bound, e.What)
}

// Unwrap returns [penstock.ErrFull].
func (e *PassiveFullError) Unwrap() error { return penstock.ErrFull }

// PassiveTimeoutError says that nobody took an item in time. It is an [ErrTimedOut].
type PassiveTimeoutError struct {
	Queue  string
	Waited time.Duration
}

func (e *PassiveTimeoutError) Error() string {
	return fmt.Sprintf("passive queue %q: nobody took the item within %v", e.Queue, e.Waited)
}

// Unwrap returns [ErrTimedOut].
func (e *PassiveTimeoutError) Unwrap() error { return ErrTimedOut }

func (c PassiveConfig[T]) withDefaults() PassiveConfig[T] {
	if c.MaxSize == 0 {
		c.MaxSize = 10_000
	}
	if c.MaxTakers == 0 {
		c.MaxTakers = 10_000
	}
	return c
}

// validate names every bad field and the values it takes.
func (c PassiveConfig[T]) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.MaxSize >= 0 && c.MaxSize <= maxSize, "MaxSize is %d; it takes 1 to %d, or 0 for 10,000", c.MaxSize, maxSize)
	check(c.MaxTakers >= 0 && c.MaxTakers <= maxSize, "MaxTakers is %d; it takes 1 to %d, or 0 for 10,000", c.MaxTakers, maxSize)
	check(c.MaxTime >= 0 && c.MaxTime <= maxWait, "MaxTime is %v; it takes 0 (no bound) to %v", c.MaxTime, maxWait)
	for flow, w := range c.Weights {
		check(w >= 1 && w <= maxWeight, "Weights[%q] is %d; it takes 1 to %d", flow, w, maxWeight)
	}
	if c.Behavior != nil {
		check(c.Line == LineConfig{} && c.Weights == nil, "Behavior is set, and so is Line or Weights; the Behavior decides what goes first")
	} else {
		err := c.Line.Validate()
		check(err == nil, "Line: %v", err)
	}
	return errors.Join(errs...)
}

// AddPassive starts a passive queue. Its name, 1 to 512 bytes of UTF-8, is unique among the system's passive queues. The
// error is [penstock.ErrInvalid], and names every bad field and the values it takes, [penstock.ErrExists],
// [penstock.ErrClosed], or the Behavior's; then nothing has been started.
func AddPassive[T any](sys *penstock.System, name string, cfg PassiveConfig[T]) (*Passive[T], error) {
	if sys == nil {
		return nil, fmt.Errorf("%w passive queue %q: the system is nil; it takes one from penstock.New", penstock.ErrInvalid, name)
	}
	if err := errors.Join(checkName("passive queue", name), cfg.validate()); err != nil {
		return nil, fmt.Errorf("%w passive queue %q: %w", penstock.ErrInvalid, name, err)
	}
	room, err := passiveRoomOf(sys)
	if err != nil {
		return nil, err
	}
	return addPassive(room, name, cfg.withDefaults())
}

func addPassive[T any](room *passiveRoom, name string, cfg PassiveConfig[T]) (*Passive[T], error) {
	if _, taken := room.Lookup(name); taken { // before a Behavior is made in vain
		return nil, fmt.Errorf("%w: passive queue %q", penstock.ErrExists, name)
	}
	keep, err := cfg.behavior()
	if err != nil {
		return nil, fmt.Errorf("passive queue %q: its Behavior: %w", name, err)
	}
	p := &Passive[T]{room: room, name: name, cfg: cfg, drained: make(chan struct{})}
	p.state = passiveState[T]{keep: keep, in: meter{from: room.clock.Now()}, out: meter{from: room.clock.Now()}, next: limit.Never, tells: cfg.Dropped != nil}
	p.spare.New = func() any { return &taker[T]{reply: make(chan struct{}, 1)} }
	if err := room.Add(name, func(s *passiveSeat) passiveQueue { p.seat = s; return p }); err != nil {
		return nil, fmt.Errorf("passive queue %q: %w", name, errors.Join(err, keep.Close()))
	}
	return p, nil
}

// behavior makes what keeps the items.
func (c PassiveConfig[T]) behavior() (keep Behavior[T], err error) {
	if c.Behavior == nil {
		return NewLine[T](c.Line), nil
	}
	defer caught(&err)
	if keep, err = c.Behavior(); err == nil && keep == nil {
		err = fmt.Errorf("%w: the function returned nil", penstock.ErrInvalid)
	}
	return keep, err
}

// GetPassive finds a passive queue by its name; false if there is none, or its items are of another type.
func GetPassive[T any](sys *penstock.System, name string) (*Passive[T], bool) {
	s, ok := passiveRoomIn(sys).Lookup(name)
	if !ok {
		return nil, false
	}
	p, ok := s.Member().(*Passive[T])
	return p, ok
}

// DeletePassive ends a passive queue and reports whether there was one. Who waits in it is told that it was deleted, which
// is an [penstock.ErrClosed], and what is left goes to Dropped. The name is free at once.
func DeletePassive(sys *penstock.System, name string) bool {
	s, ok := passiveRoomIn(sys).Lookup(name)
	return ok && s.Remove(fmt.Errorf("deleted: %w", penstock.ErrClosed))
}

// Name is the queue's name.
func (p *Passive[T]) Name() string { return p.name }

// Len is how many items it holds.
func (p *Passive[T]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.len()
}

// Enqueue puts an item in. It never waits. Errors: a [*PassiveFullError], [penstock.ErrClosed], ctx's.
func (p *Passive[T]) Enqueue(ctx context.Context, item T) error {
	return p.EnqueueRequest(ctx, item, Request{})
}

// EnqueueRequest puts an item in at the place that r gives it: the more urgent go first, flows share by weight. Errors
// are those of Enqueue, and [penstock.ErrInvalid] for a bad request.
func (p *Passive[T]) EnqueueRequest(ctx context.Context, item T, r Request) error {
	if err := ctx.Err(); err != nil {
		return p.fault(err)
	}
	if err := r.validate(); err != nil {
		return p.fault(err)
	}
	wake, gone, err := p.put(item, &r)
	p.after(wake, gone, nil)
	return err
}

// Dequeue takes up to n items out, in their order. It waits until there is one; those who wait are served in the order of
// their coming. When ctx ends first its error is returned and nothing has been taken. Other errors: a [*PassiveFullError]
// if as many wait as may; [penstock.ErrInvalid] for an n below 1; [penstock.ErrClosed] if there is nothing and never will
// be; and why the queue's actor was given up, if it was.
func (p *Passive[T]) Dequeue(ctx context.Context, n int) ([]Item[T], error) {
	if n < 1 {
		return nil, p.fault(fmt.Errorf("%w: n is %d; it takes 1 or more", penstock.ErrInvalid, n))
	}
	if err := ctx.Err(); err != nil {
		return nil, p.fault(err)
	}
	items, w, wake, gone, err := p.take(n)
	p.after(wake, gone, nil)
	switch {
	case w != nil:
		return p.wait(ctx, w)
	case items != nil && err != nil:
		p.room.logger.Error("a queue's behavior panicked", "queue", p.name, "err", err)
		return items, nil
	}
	return items, err
}

// wait waits for the taker's turn, or for the end of ctx.
func (p *Passive[T]) wait(ctx context.Context, w *taker[T]) ([]Item[T], error) {
	select {
	case <-w.reply:
	case <-ctx.Done():
		if p.leave(w) {
			p.spare.Put(w)
			return nil, p.fault(fmt.Errorf("gave up waiting for an item: %w", ctx.Err()))
		}
		<-w.reply // the answer was quicker
	}
	items, err := w.items, w.err
	w.items, w.err = nil, nil
	p.spare.Put(w)
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil: // they were handed to a caller who had given up
		p.giveBack(items)
		return nil, p.fault(fmt.Errorf("gave up waiting for an item: %w", ctx.Err()))
	}
	p.confirm(len(items))
	return items, nil
}

func (p *Passive[T]) fault(err error) error { return fmt.Errorf("passive queue %q: %w", p.name, err) }
