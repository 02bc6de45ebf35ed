package queue

import (
	"slices"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// passiveState is a passive queue: what it holds, who waits for it in which order, and what it has been through. It is
// pure; the queue's mutex guards it.
type passiveState[T any] struct {
	keep    Behavior[T]
	takers  takers[T]
	seq     uint64
	handed  int           // items given to takers that waited and have not said that they have them
	untold  int           // items dropped that Dropped has not been told of
	tells   bool          // there is a Dropped
	refusal error         // why nothing is let in any more; nil while it is
	over    bool          // it ended: keep is closed
	next    time.Duration // when the actor will look by itself, after the room's epoch; limit.Never: not

	entered, taken, dropped, refused uint64
	in, out                          meter
	spares                           []*Item[T] // used items, so that enqueuing need not allocate
}

// keepSpares is how many used items a queue keeps.
const keepSpares = 64

// len is how many items there are: those that wait, and those on their way to a taker, which may come back.
func (s *passiveState[T]) len() int {
	if s.over {
		return s.handed
	}
	return s.keep.Len() + s.handed
}

// put takes an item in.
func (s *passiveState[T]) put(now time.Time, value T, r *Request, weight int, maxTime time.Duration) error {
	var x *Item[T]
	if last := len(s.spares) - 1; last >= 0 {
		x, s.spares = s.spares[last], s.spares[:last]
	} else {
		x = new(Item[T])
	}
	s.seq++
	x.Value, x.At, x.Seq = value, now, s.seq
	x.Flow, x.Nice, x.Weight, x.Cost = r.Flow, r.Nice, weight, max(r.Cost, 1)
	if maxTime > 0 {
		x.Deadline = now.Add(maxTime)
	}
	if err := s.keep.In(now, x); err != nil {
		return err
	}
	s.entered++
	s.in.look(now, s.entered)
	return nil
}

// take takes up to n items out and appends them to items, one by one, so that none is lost if the Behavior panics.
func (s *passiveState[T]) take(now time.Time, n int, items *[]Item[T]) {
	n = min(n, s.keep.Len())
	for len(*items) < n {
		x, ok := s.keep.Out(now)
		if !ok {
			break
		}
		if *items == nil {
			*items = make([]Item[T], 0, n)
		}
		*items = s.pack(*items, x)
		s.taken++
	}
	s.out.look(now, s.taken)
}

// pack appends what x is, and keeps x for the next.
func (s *passiveState[T]) pack(items []Item[T], x *Item[T]) []Item[T] {
	items = append(items, *x)
	if len(s.spares) < keepSpares {
		*x = Item[T]{}
		s.spares = append(s.spares, x)
	}
	return items
}

// serve hands items to those who wait, in the order of their coming, and answers them. A taker that has items already was
// being served when the actor failed.
func (s *passiveState[T]) serve(now time.Time) {
	for w := s.takers.first; w != nil; w = s.takers.first {
		for len(w.items) < w.n {
			x, ok := s.keep.Out(now)
			if !ok {
				break
			}
			if w.items == nil {
				w.items = make([]Item[T], 0, min(w.n, s.keep.Len()+1))
			}
			w.items = s.pack(w.items, x)
			s.handed++
		}
		if len(w.items) == 0 {
			return
		}
		s.takers.remove(w)
		w.reply <- struct{}{}
	}
}

// restore puts items back that were handed out and not wanted any more, each to where it was. Those that are not taken
// back, and why, are returned.
func (s *passiveState[T]) restore(now time.Time, items []Item[T]) (lost []*Item[T], err error) {
	s.handed -= len(items)
	for i := range items {
		x := &items[i]
		cause := s.refusal
		if !s.over {
			cause = putBack(s.keep, now, x)
		}
		if cause != nil {
			lost, err = append(lost, x), cause
		}
	}
	s.drop(lost)
	return lost, err
}

// putBack takes in again what was taken out for nothing. A Behavior that charges flows for what it hands out has a Back of
// its own for that, which gives it back.
func putBack[T any](b Behavior[T], now time.Time, x *Item[T]) error {
	if b, ok := b.(interface {
		Back(time.Time, *Item[T]) error
	}); ok {
		return b.Back(now, x)
	}
	return b.In(now, x)
}

// expire takes out what has waited too long.
func (s *passiveState[T]) expire(now time.Time, maxTime time.Duration) []*Item[T] {
	gone := s.keep.TimedOut(now, maxTime)
	s.drop(gone)
	return gone
}

func (s *passiveState[T]) drop(gone []*Item[T]) {
	s.dropped += uint64(len(gone))
	if s.tells {
		s.untold += len(gone)
	}
}

// dismiss answers all who wait with an error, but for one that has items already.
func (s *passiveState[T]) dismiss(reason error) {
	for w := s.takers.first; w != nil; w = s.takers.first {
		s.takers.remove(w)
		if len(w.items) == 0 {
			w.err = reason
		}
		w.reply <- struct{}{}
	}
}

// empty takes out all there is, oldest first.
func (s *passiveState[T]) empty() []*Item[T] {
	left := slices.Collect(s.keep.All())
	for _, x := range left {
		s.keep.Remove(x)
	}
	s.drop(left)
	return left
}

// spent reports that nothing comes in any more and nothing is left.
func (s *passiveState[T]) spent() bool { return s.refusal != nil && s.len() == 0 }

// calls reports whether the actor is to look: somebody can be served, or something is due before it looks by itself.
func (s *passiveState[T]) calls(now time.Time, elapsed, maxTime time.Duration) bool {
	if s.takers.n > 0 {
		if _, ok := s.keep.Peek(now); ok {
			return true
		}
	}
	due := s.keep.Due(now, maxTime)
	return due != limit.Never && elapsed+due < s.next
}

// taker is a caller that waits for items.
type taker[T any] struct {
	n          int
	items      []Item[T]     // valid once reply has delivered, unless err is set
	err        error         // why it gets none
	reply      chan struct{} // room for the one answer
	prev, next *taker[T]
	in         bool // it stands in line
}

// takers are those who wait, in the order of their coming.
type takers[T any] struct {
	first, last *taker[T]
	n           int
}

func (l *takers[T]) push(w *taker[T]) {
	w.prev, w.next, w.in = l.last, nil, true
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

func (l *takers[T]) remove(w *taker[T]) bool {
	if !w.in {
		return false
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next, w.in = nil, nil, false
	l.n--
	return true
}
