package limit

import (
	"cmp"
	"iter"
	"slices"
)

// Slot is the place of something in a [Fair]. Embed it, by value, in what
// waits; the zero Slot waits nowhere. It must not be copied while it waits.
type Slot struct {
	x     any // what embeds the Slot, while it waits
	flow  *flow
	seq   uint64
	cost  int64
	links [chains]link
}

func (s *Slot) slot() *Slot { return s }

// flowing is what a Fair orders: a pointer to a struct that embeds a Slot.
type flowing interface {
	slot() *Slot
}

// Position says where something goes in a [Fair].
type Position struct {
	// Rank decides first: the lower goes first, as with a niceness.
	Rank int64
	// Flow shares its rank with the rank's other flows. "" is a flow too.
	Flow string
	// Weight is the flow's share, from 1 to 1,000,000; less counts as 1, more
	// as the most. The last one pushed is the flow's.
	Weight int
	// Cost is what serving it takes of its flow's share, from 1 to
	// 2,147,483,647; less counts as 1, more as the most.
	Cost int
	// Seq is the order of arrival: inside a flow the lowest goes first, or
	// the highest after [Fair.NewestFirst].
	Seq uint64
}

// Fair is a queue in which flows share: the lower rank goes first, and inside a
// rank the flows take turns, so that each that has something waiting is served
// in proportion to its weight, whatever its items cost and however many wait.
// T is a pointer to a struct that embeds a [Slot].
//
// It is deficit round robin (Shreedhar and Varghese, 1995). A flow that comes
// goes to the end of the round, and what is left of its credit ends with its
// last item: no endless stream of new flows starves one that waits, and nothing
// is remembered of idle ones. Until then a flow keeps the credit that it has not
// used, in either order, whatever comes to be its next item; only what was saved
// up for one that gave up is different ([Fair.Remove]).
//
// A round gives each flow the same credit for each unit of weight: as much as
// lets about one item a flow go, but at least 1. So where nothing costs more than
// its flow weighs, a turn is as much as the flow weighs: weights of 1 and 3 make
// finer turns than 1,000 and 3,000.
//
// All operations are O(1) on average, but for finding the rank, of which there
// should be few, and for passing by what has a higher Seq: pushes should come
// almost in its order. The zero Fair is empty and ready. It must not be copied
// once it has been used. Not safe for concurrent use.
type Fair[T flowing] struct {
	ranks  []*rank // that have something waiting, the first to go first
	queue  chain   // all that waits
	order  order
	n      int // waiting
	flows  int // of all ranks
	spares spares
}

// order is which end of a flow goes first. Its address tells what waits in one
// Fair from what waits in another.
type order struct{ newest bool }

// Push puts x in. It panics if x already waits, here or elsewhere.
func (q *Fair[T]) Push(x T, p Position) { q.push(x, p, false) }

// Restore puts x back, which Pop took out but which was not served, and gives its
// flow back what that cost it: however often x is taken out and put back, it is
// charged once. p is what it was for Push. The flow goes on in its turn if it
// still has it, or else in its next. It panics as Push does.
func (q *Fair[T]) Restore(x T, p Position) { q.push(x, p, true) }

func (q *Fair[T]) push(x T, p Position, charged bool) {
	s := x.slot()
	if s.flow != nil {
		panic("limit: something pushed into a Fair that already waits")
	}
	s.x, s.seq, s.cost = x, p.Seq, min(max(int64(p.Cost), 1), maxFairCost)
	var back int64
	if charged {
		back = s.cost
	}
	r := q.rank(p.Rank)
	before := r.flows
	r.push(s, p.Flow, min(max(int64(p.Weight), 1), maxFairWeight), back, &q.spares)
	q.flows += r.flows - before
	q.queue.insert(byArrival, s)
	q.n++
}

// Peek returns what Pop would take and leaves it in; false if there is
// nothing. It stays the same until something is pushed, popped or removed, or
// the order is turned around.
func (q *Fair[T]) Peek() (T, bool) {
	if q.n == 0 {
		var none T
		return none, false
	}
	return q.ranks[0].head().x.(T), true
}

// Pop takes the next out and charges it to its flow; false if there is nothing.
func (q *Fair[T]) Pop() (T, bool) {
	x, ok := q.Peek()
	if ok {
		q.delete(x.slot(), true)
	}
	return x, ok
}

// Remove takes x out; it costs its flow nothing. What the flow had saved up for x
// it gets bit by bit, not at once past those that came meanwhile: in each turn as
// much again as the round gives, or else what the turn's first item lacks. Saved
// up while no other flow waited, it is gone. Remove reports false if x does not
// wait here.
func (q *Fair[T]) Remove(x T) bool {
	s := x.slot()
	if s.flow == nil || s.flow.rank.order != &q.order {
		return false
	}
	q.delete(s, false)
	return true
}

// Oldest returns the lowest Seq of all that wait, whatever its rank and flow,
// and leaves it in; false if there is nothing.
func (q *Fair[T]) Oldest() (T, bool) {
	if q.n == 0 {
		var none T
		return none, false
	}
	return q.queue.first.x.(T), true
}

// NewestFirst turns the order inside each flow around, at once, in time
// proportional to the number of flows. What has been charged to the flows stays.
func (q *Fair[T]) NewestFirst(yes bool) {
	if q.order.newest == yes {
		return
	}
	q.order.newest = yes
	for _, r := range q.ranks {
		r.reorder()
	}
}

// Len returns how many wait.
func (q *Fair[T]) Len() int { return q.n }

// Flows returns how many flows have something waiting. A rank and a flow's
// name make one.
func (q *Fair[T]) Flows() int { return q.flows }

// All yields everything that waits, in order of arrival. The queue must not
// change meanwhile.
func (q *Fair[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for s := q.queue.first; s != nil; s = s.links[byArrival].next {
			if !yield(s.x.(T)) {
				return
			}
		}
	}
}

// rank returns the rank that goes by this number, made if there is none.
func (q *Fair[T]) rank(number int64) *rank {
	if len(q.ranks) > 0 && q.ranks[0].number == number {
		return q.ranks[0]
	}
	i, found := slices.BinarySearchFunc(q.ranks, number, func(r *rank, number int64) int {
		return cmp.Compare(r.number, number)
	})
	if !found {
		r := q.spares.rank()
		r.number, r.order = number, &q.order
		q.ranks = slices.Insert(q.ranks, i, r)
	}
	return q.ranks[i]
}

// delete takes s out, and leaves no reference to it behind.
func (q *Fair[T]) delete(s *Slot, served bool) {
	r := s.flow.rank
	before := r.flows
	r.delete(s, served, &q.spares)
	q.flows -= before - r.flows
	q.queue.delete(byArrival, s)
	*s = Slot{}
	q.n--
	if r.flows > 0 {
		return
	}
	i := slices.Index(q.ranks, r)
	q.ranks = slices.Delete(q.ranks, i, i+1)
	if c := cap(q.ranks); c > spareRanks && len(q.ranks) < c/4 {
		q.ranks = append(make([]*rank, 0, c/2), q.ranks...)
	}
	q.spares.keepRank(r)
}
