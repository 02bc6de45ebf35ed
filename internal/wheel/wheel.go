// Package wheel keeps what is to be done later by when it is due: adding, taking out, and finding what is due cost the same
// however much there is, and a thing in it needs no timer and no allocation.
package wheel

import "time"

// Link is a thing's place in a [Wheel] or a [Queue]: one at a time.
type Link[T any] struct {
	Due  time.Duration // for a Wheel. It is not changed while the thing is in
	next T
	prev *T // what leads here, in a Wheel
}

// Linked is a pointer to a thing that has a Link.
type Linked[T any] interface {
	comparable
	Link() *Link[T]
}

// Wheel has spokes, each a list of what is due in the same tick. Nothing comes out too early, and it comes with the first tick
// after it is due. It is not safe for concurrent use.
type Wheel[T Linked[T]] struct {
	tick   time.Duration
	spokes []T
	at     int64 // the tick up to which everything has been taken out
	n      int
}

const (
	finest    = time.Millisecond
	coarsest  = time.Second
	maxSpokes = 4096
)

// New is for things most of which are due within span of their coming. Its tick is a 256th of that, but at least 1 ms and at
// most 1 s.
func New[T Linked[T]](span time.Duration) Wheel[T] {
	tick := min(max(span/256, finest), coarsest)
	return Wheel[T]{tick: tick, spokes: make([]T, min(int(span/tick)+2, maxSpokes))}
}

// Next is how long after now the next tick is: when Advance is to be called while something is in. Ticks are the same for all
// that is in, so nothing waits for one of its own and then for the wheel's.
func (w *Wheel[T]) Next(now time.Duration) time.Duration { return w.tick - now%w.tick }

// Len is how many things are in.
func (w *Wheel[T]) Len() int { return w.n }

// Add puts in a thing that is in no wheel and no queue. One that is due later than the wheel reaches stays in its last spoke
// and goes round.
func (w *Wheel[T]) Add(t T) {
	var none T
	l := t.Link()
	tick := int64((l.Due + w.tick - 1) / w.tick)
	tick = min(max(tick, w.at+1), w.at+int64(len(w.spokes)))
	spoke := &w.spokes[tick%int64(len(w.spokes))]
	l.next, l.prev = *spoke, spoke
	if l.next != none {
		l.next.Link().prev = &l.next
	}
	*spoke = t
	w.n++
}

// Remove takes out a thing that is in.
func (w *Wheel[T]) Remove(t T) {
	var none T
	l := t.Link()
	*l.prev = l.next
	if l.next != none {
		l.next.Link().prev = l.prev
	}
	l.next, l.prev = none, nil
	w.n--
}

// Advance takes out what is due now, and gives it to each.
func (w *Wheel[T]) Advance(now time.Duration, each func(T)) {
	var none T
	last := int64(now / w.tick)
	if w.n == 0 {
		w.at = max(w.at, last)
		return
	}
	by := time.Duration(last) * w.tick               // who is due later comes with the next tick, in whichever spoke it is
	from := max(w.at+1, last-int64(len(w.spokes))+1) // a wheel that stood still goes round once
	for tick := from; tick <= last; tick++ {
		w.at = max(w.at, tick)
		spoke := &w.spokes[tick%int64(len(w.spokes))]
		for t := *spoke; t != none; {
			next := t.Link().next
			if t.Link().Due <= by {
				w.Remove(t)
				each(t)
			}
			t = next
		}
		w.turn(spoke)
	}
	w.at = max(w.at, last)
}

// turn puts what is left in a spoke, because it is due a turn later or more, where it belongs now.
func (w *Wheel[T]) turn(spoke *T) {
	var none T
	t := *spoke
	*spoke = none
	for t != none {
		l := t.Link()
		next := l.next
		l.next, l.prev = none, nil
		w.n--
		w.Add(t)
		t = next
	}
}

// Queue is first in, first out. It is not safe for concurrent use.
type Queue[T Linked[T]] struct{ first, last T }

// Empty reports whether nothing is in.
func (q *Queue[T]) Empty() bool {
	var none T
	return q.first == none
}

// Push puts in a thing that is in no wheel and no queue.
func (q *Queue[T]) Push(t T) {
	if q.Empty() {
		q.first = t
	} else {
		q.last.Link().next = t
	}
	q.last = t
}

// Pop takes out the oldest of those that are in; there must be one.
func (q *Queue[T]) Pop() T {
	var none T
	t := q.first
	l := t.Link()
	q.first, l.next = l.next, none
	if q.first == none {
		q.last = none
	}
	return t
}
