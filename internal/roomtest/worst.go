package roomtest

import (
	"slices"
	"time"
)

// Turn is when somebody was let in, and what that cost.
type Turn struct {
	At   time.Time
	Cost int
}

// Worst is the most that any window of this length holds, whenever it begins: the oracle of all limits. A window holds what
// happens at its beginning and not what happens at its end.
func Worst(turns []Turn, window time.Duration) (most int) {
	turns = slices.SortedStableFunc(slices.Values(turns), func(a, b Turn) int { return a.At.Compare(b.At) })
	first, held := 0, 0
	for _, t := range turns {
		held += t.Cost
		for t.At.Sub(turns[first].At) >= window {
			held -= turns[first].Cost
			first++
		}
		most = max(most, held)
	}
	return most
}
