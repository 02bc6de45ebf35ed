package limit

import "iter"

// Turn is the place of something in a [Priority]. Embed it, by value, in what
// waits; the zero Turn waits nowhere. It must not be copied while it waits.
type Turn struct {
	place int // index in the heap, plus 1
}

func (t *Turn) turn() *Turn { return t }

// waiter is what a Priority orders: a pointer to a struct that embeds a Turn.
type waiter interface {
	turn() *Turn
}

// Priority is a queue in which the lower rank goes first, and inside a rank
// the lower sequence number. T is a pointer to a struct that embeds a [Turn].
// The zero Priority is empty and ready. Not safe for concurrent use.
type Priority[T waiter] struct {
	heap []place[T]
}

// place keeps what is compared beside each other, out of the waiters.
type place[T waiter] struct {
	rank int64
	seq  uint64
	x    T
}

// minHeap is the smallest capacity worth giving back.
const minHeap = 32

// Push puts x in, in O(log n). It panics if x already waits, here or elsewhere.
func (q *Priority[T]) Push(x T, rank int64, seq uint64) {
	if x.turn().place != 0 {
		panic("limit: Priority.Push of something that already waits")
	}
	q.heap = append(q.heap, place[T]{rank: rank, seq: seq, x: x})
	q.up(len(q.heap) - 1)
}

// Pop takes the first out, in O(log n); false if there is none.
func (q *Priority[T]) Pop() (T, bool) {
	x, ok := q.Peek()
	if ok {
		q.delete(0)
	}
	return x, ok
}

// Peek returns the first and leaves it in; false if there is none.
func (q *Priority[T]) Peek() (T, bool) {
	if len(q.heap) == 0 {
		var none T
		return none, false
	}
	return q.heap[0].x, true
}

// Remove takes x out, in O(log n); false if it does not wait here.
func (q *Priority[T]) Remove(x T) bool {
	t := x.turn()
	i := t.place - 1
	if i < 0 || i >= len(q.heap) || q.heap[i].x.turn() != t {
		return false
	}
	q.delete(i)
	return true
}

// Len returns how many wait.
func (q *Priority[T]) Len() int { return len(q.heap) }

// All yields everything that waits, in no order. The queue must not change meanwhile.
func (q *Priority[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for i := range q.heap {
			if !yield(q.heap[i].x) {
				return
			}
		}
	}
}

func (q *Priority[T]) before(a, b *place[T]) bool {
	return a.rank < b.rank || a.rank == b.rank && a.seq < b.seq
}

// delete takes out what is at i, and leaves no reference to it behind.
func (q *Priority[T]) delete(i int) {
	last := len(q.heap) - 1
	q.heap[i].x.turn().place = 0
	q.heap[i] = q.heap[last]
	q.heap[last] = place[T]{}
	q.heap = q.heap[:last]
	if i < last && !q.down(i) {
		q.up(i)
	}
	if c := cap(q.heap); c > minHeap && last < c/4 {
		q.heap = append(make([]place[T], 0, c/2), q.heap...)
	}
}

// up moves what is at i towards the root as far as it goes.
func (q *Priority[T]) up(i int) {
	p := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !q.before(&p, &q.heap[parent]) {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, p)
}

// down moves what is at i towards the leaves, and reports whether it moved.
func (q *Priority[T]) down(i int) bool {
	p, start := q.heap[i], i
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			break
		}
		if right := child + 1; right < len(q.heap) && q.before(&q.heap[right], &q.heap[child]) {
			child = right
		}
		if !q.before(&q.heap[child], &p) {
			break
		}
		q.put(i, q.heap[child])
		i = child
	}
	q.put(i, p)
	return i > start
}

func (q *Priority[T]) put(i int, p place[T]) {
	q.heap[i] = p
	p.x.turn().place = i + 1
}
