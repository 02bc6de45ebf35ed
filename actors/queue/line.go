package queue

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// LineConfig says in which order a [Line] serves. The zero LineConfig is FIFO.
type LineConfig struct {
	// Order is which goes first inside a niceness and a flow. Default FIFO
	Order Order
	// Target is how long an item may wait in a healthy line; Adaptive only. Default 5ms
	Target time.Duration
	// TargetInterval is how long the line must have been above Target to be overloaded, and how long an item may wait in
	// an overloaded one; Adaptive only. Default 100ms, or Target if that is more
	TargetInterval time.Duration
}

// maxTarget bounds both durations of an Adaptive line.
const maxTarget = time.Hour

// Validate names every bad field and the values it takes.
func (c LineConfig) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Order <= Adaptive, "Order is %d; it takes FIFO, LIFO or Adaptive", c.Order)
	if c.Order != Adaptive {
		check(c.Target == 0 && c.TargetInterval == 0, "Target and TargetInterval are %v and %v; they go with Order Adaptive only",
			c.Target, c.TargetInterval)
		return errors.Join(errs...)
	}
	check(c.Target >= 0 && c.Target <= maxTarget, "Target is %v; it takes a positive duration up to %v, or 0 for 5ms", c.Target, maxTarget)
	check(c.TargetInterval == 0 || c.TargetInterval >= c.Target && c.TargetInterval <= maxTarget,
		"TargetInterval is %v; it takes Target (%v) to %v, or 0 for 100ms", c.TargetInterval, c.Target, maxTarget)
	return errors.Join(errs...)
}

func (c LineConfig) withDefaults() LineConfig {
	if c.Target <= 0 {
		c.Target = 5 * time.Millisecond
	}
	if c.TargetInterval == 0 {
		c.TargetInterval = 100 * time.Millisecond
	}
	c.TargetInterval = max(c.TargetInterval, c.Target)
	return c
}

// Line is the built-in [Behavior]: the lower niceness goes first, inside it flows share by weight, inside a flow Order
// decides. Items come in the order of both Seq and At; one that comes back keeps them and so finds its place again.
type Line[T any] struct {
	fair       limit.Fair[*Item[T]]
	cfg        LineConfig
	codel      *limit.CoDel // nil unless the order is Adaptive
	overloaded bool         // as codel said when it was asked last
}

// LineInfo is what a [Line] can tell of itself.
type LineInfo struct {
	Order      Order
	Flows      int  // that have something waiting; a niceness and a flow's name make one
	Overloaded bool // an Adaptive line lets the newest go first now
}

// NewLine returns an empty line. What [LineConfig.Validate] would name counts as not set.
func NewLine[T any](cfg LineConfig) *Line[T] {
	l := &Line[T]{cfg: cfg.withDefaults()}
	switch cfg.Order {
	case LIFO:
		l.fair.NewestFirst(true)
	case Adaptive:
		l.codel = limit.NewCoDel(l.cfg.Target, l.cfg.TargetInterval)
	}
	return l
}

// In takes x in. It takes in everything.
func (l *Line[T]) In(now time.Time, x *Item[T]) error {
	if l.codel != nil && l.fair.Len() == 0 {
		l.watch(now) // nobody waits until now
	}
	l.fair.Push(x, position(x))
	return nil
}

// Back takes in again what Out took out for nothing: it keeps its place, and its flow gets back what it was charged.
func (l *Line[T]) Back(now time.Time, x *Item[T]) error {
	if l.codel != nil && l.fair.Len() == 0 {
		l.watch(now)
	}
	l.fair.Restore(x, position(x))
	return nil
}

func position[T any](x *Item[T]) limit.Position {
	return limit.Position{Rank: int64(x.Nice), Flow: x.Flow, Weight: x.Weight, Cost: x.Cost, Seq: x.Seq}
}

// Peek is what Out would take out now.
func (l *Line[T]) Peek(now time.Time) (*Item[T], bool) {
	if l.codel != nil {
		l.watch(now)
	}
	return l.fair.Peek()
}

// Out takes the next one out.
func (l *Line[T]) Out(now time.Time) (*Item[T], bool) {
	if l.codel == nil {
		return l.fair.Pop()
	}
	l.watch(now)
	x, ok := l.fair.Pop()
	l.watch(now)
	return x, ok
}

// Remove takes x out as if it had never come: it costs its flow nothing.
func (l *Line[T]) Remove(x *Item[T]) bool { return l.fair.Remove(x) }

// TimedOut takes out what has waited for maxTime or longer; from an overloaded Adaptive line also what has waited for
// TargetInterval or longer.
func (l *Line[T]) TimedOut(now time.Time, maxTime time.Duration) []*Item[T] {
	patience := l.patience(now, maxTime)
	if patience == 0 {
		return nil
	}
	var gone []*Item[T]
	for x, ok := l.fair.Oldest(); ok && now.Sub(x.At) >= patience; x, ok = l.fair.Oldest() {
		l.fair.Remove(x)
		gone = append(gone, x)
	}
	if gone != nil && l.codel != nil {
		l.watch(now)
	}
	return gone
}

// Due is how long until the oldest has waited too long, or until an Adaptive line may be overloaded.
func (l *Line[T]) Due(now time.Time, maxTime time.Duration) time.Duration {
	patience := l.patience(now, maxTime)
	x, ok := l.fair.Oldest()
	if !ok {
		return limit.Never
	}
	due := limit.Never
	if patience > 0 {
		due = x.At.Add(patience).Sub(now)
	}
	if l.codel != nil && !l.overloaded {
		due = min(due, l.codel.Until(now))
	}
	return max(due, 0)
}

// Oldest is what has waited longest.
func (l *Line[T]) Oldest() (*Item[T], bool) { return l.fair.Oldest() }

// Len is how many wait.
func (l *Line[T]) Len() int { return l.fair.Len() }

// All yields what waits, oldest first.
func (l *Line[T]) All() iter.Seq[*Item[T]] { return l.fair.All() }

// Info returns a [LineInfo].
func (l *Line[T]) Info() any {
	return LineInfo{Order: l.cfg.Order, Flows: l.fair.Flows(), Overloaded: l.overloaded}
}

// Close does nothing: a line is only memory.
func (l *Line[T]) Close() error { return nil }

// watch tells an Adaptive line's CoDel how it stands, and turns the order as that says.
func (l *Line[T]) watch(now time.Time) {
	x, ok := l.fair.Oldest()
	var waited time.Duration
	if ok {
		waited = now.Sub(x.At)
	}
	l.codel.Update(now, waited, !ok)
	l.overloaded = l.codel.Overloaded(now)
	l.fair.NewestFirst(l.overloaded)
}

// patience is how long an item may wait now; 0: no bound.
func (l *Line[T]) patience(now time.Time, maxTime time.Duration) time.Duration {
	if l.codel == nil {
		return maxTime
	}
	l.watch(now)
	return l.codel.Patience(now, maxTime)
}
