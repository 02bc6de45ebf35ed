package stat

import (
	"math"
	"sync/atomic"
)

// What a sum's word is when it is no number. Sums end before them, at -MaxInt64 + 1.
const (
	gone = math.MinInt64 // the cell is closed
	idle = gone + 1      // nothing was counted since the cell was emptied, and its key is not armed
)

// sum is a key's cell in a [Buffer]: what was counted since it was emptied last. Whoever adds to it takes no lock. It is one word,
// which says too whether the key is armed, and what the key's Counters count is elsewhere: so the entry of a key is half a cache
// line, and what an increment costs with many keys is how much of it the caches hold.
type sum struct{ n atomic.Int64 }

// parts are all that was counted: the sum, and what the key's Counters count, nil while there is none.
type parts struct {
	*sum
	stripes *atomic.Pointer[stripes]
}

func partsOf[K comparable](t *tally[K, K, sum]) parts { return parts{&t.cell, &t.course.stripes} }

// add counts n. first: the cell was idle, and the caller is the one who arms its key.
func (s *sum) add(n int64) (a answer, first bool) {
	for {
		before := s.n.Load()
		if before == gone {
			return closed, false
		}
		after, exact := plus(present(before), n)
		if s.n.CompareAndSwap(before, after) {
			if !exact {
				a = saturated
			}
			return a, before == idle
		}
	}
}

// arm is what follows an addition to a stripe. first: the cell was idle, and the caller is the one who arms its key.
//
// Nothing is left unarmed, because who empties the cell takes the word before the stripes. If the word is a number here, it has
// not been taken since the addition, and the stripe will be taken after it. If it is gone, the cell was closed for good and what was
// added is taken likewise, or it was shut after all its stripes had come to 0.
func (s *sum) arm() (first bool) { return s.n.Load() == idle && s.n.CompareAndSwap(idle, 0) }

// isArmed reports whether something was added since the cell was emptied.
func (s *sum) isArmed() bool { return s.n.Load() > idle }

// plus adds within -MaxInt64 + 1 to MaxInt64, and reports whether the sum is exact.
func plus(a, b int64) (total int64, exact bool) {
	total = a + b
	switch {
	case (total > a) == (b > 0) && total > idle:
		return total, true
	case b > 0:
		return math.MaxInt64, false
	default:
		return idle + 1, false
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

// present is the number that a word stands for.
func present(n int64) int64 {
	if n <= idle {
		return 0
	}
	return n
}

// empty takes what the word holds.
func (s *sum) empty(then emptied) int64 {
	switch then {
	case toIdle:
		return present(s.n.Swap(idle))
	case toClosed:
		return present(s.n.Swap(gone))
	}
	for {
		n := s.n.Load()
		if n <= idle || s.n.CompareAndSwap(n, 0) {
			return present(n)
		}
	}
}

// take empties the cell, and reports whether the sum of its parts was within int64.
func (s parts) take(then emptied) (total int64, exact bool) {
	total, exact = s.empty(then), true // before the stripes: see arm
	var left int64
	if then == toClosed {
		left = gone
	}
	for i := range s.stripes.Load().all() {
		part, ok := plus(total, present(i.n.Swap(left)))
		total, exact = part, exact && ok
	}
	return total, exact
}

// shut closes the cell if it is idle and its stripes are empty. They are closed before the word: see arm.
func (s parts) shut() bool {
	for i := range s.stripes.Load().all() {
		if !i.n.CompareAndSwap(0, gone) {
			s.reopen()
			return false
		}
	}
	if !s.n.CompareAndSwap(idle, gone) {
		s.reopen()
		return false
	}
	return true
}

// reopen takes back the closing of stripes. Who found one closed meanwhile finds the same cell again.
func (s parts) reopen() {
	for i := range s.stripes.Load().all() {
		i.n.CompareAndSwap(gone, 0)
	}
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
