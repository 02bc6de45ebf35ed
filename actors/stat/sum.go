package stat

import (
	"math"
	"sync/atomic"
)

// gone is what a closed cell holds. Sums end one before it.
const gone = math.MinInt64

// sum is a key's cell in a [Buffer]: what was counted since it was emptied last. Whoever adds to it takes no lock. It is one word,
// and what the key's Counters count is elsewhere, so that the entry of a key is a cache line.
type sum struct{ n atomic.Int64 }

// parts are all that was counted: the sum, and what the key's Counters count, nil while there is none.
type parts struct {
	*sum
	stripes *atomic.Pointer[stripes]
}

func partsOf[K comparable](t *tally[K, K, sum]) parts { return parts{&t.cell, &t.course.stripes} }

// answer is what became of an addition.
type answer uint8

const (
	counted   answer = iota
	saturated        // as far as int64 goes
	closed           // not counted: the cell was closed, and its key has another one or none
)

func (s *sum) add(n int64) answer { return addTo(&s.n, n) }

func addTo(word *atomic.Int64, n int64) answer {
	for {
		before := word.Load()
		if before == gone {
			return closed
		}
		after, exact := plus(before, n)
		if word.CompareAndSwap(before, after) {
			if exact {
				return counted
			}
			return saturated
		}
	}
}

// plus adds within -MaxInt64 to MaxInt64, and reports whether the sum is exact.
func plus(a, b int64) (total int64, exact bool) {
	total = a + b
	switch {
	case (total > a) == (b > 0) && total != gone:
		return total, true
	case b > 0:
		return math.MaxInt64, false
	default:
		return -math.MaxInt64, false
	}
}

// load is what the cell holds.
func (s parts) load() int64 {
	total := present(s.n.Load())
	for i := range s.stripes.Load().all() {
		total, _ = plus(total, present(i.n.Load()))
	}
	return total
}

func present(n int64) int64 {
	if n == gone {
		return 0
	}
	return n
}

// take empties the cell, and for good if it is the last time. It reports whether the sum of its parts was within int64.
func (s parts) take(last bool) (total int64, exact bool) {
	var left int64
	if last {
		left = gone
	}
	total, exact = present(s.n.Swap(left)), true
	for i := range s.stripes.Load().all() {
		part, ok := plus(total, present(i.n.Swap(left)))
		total, exact = part, exact && ok
	}
	return total, exact
}

// shut closes the cell if it holds nothing.
func (s parts) shut() bool {
	if !s.n.CompareAndSwap(0, gone) {
		return false
	}
	for i := range s.stripes.Load().all() {
		if !i.n.CompareAndSwap(0, gone) {
			s.reopen()
			return false
		}
	}
	return true
}

// isShut reports whether the cell is closed; only of a cell that nobody is closing right now.
func (s *sum) isShut() bool { return s.n.Load() == gone }

// stripe makes the cell striped, unless it is closed. It must not be called while the cell is emptied or closed.
func (s parts) stripe() (at *stripes, open bool) {
	if s.isShut() {
		return nil, false
	}
	if s.stripes.Load() == nil {
		s.stripes.Store(newStripes())
	}
	return s.stripes.Load(), true
}

// reopen takes back a shut. Who found the cell closed meanwhile finds the same one again.
func (s parts) reopen() {
	s.n.CompareAndSwap(gone, 0)
	for i := range s.stripes.Load().all() {
		i.n.CompareAndSwap(gone, 0)
	}
}
