package stat

import "sync/atomic"

// note is what a key's tally remembers for the journal.
type note[K, P comparable, C any] struct {
	tally  *tally[K, P, C]
	name   []byte         // the key, encoded
	listed atomic.Bool    // on the list of those that have something to be recorded
	below  *note[K, P, C] // there

	recorded          // guarded by the ledger's mutex, as the others are
	taken    recorded // of what is in the flight
	pins     int      // IncrementDurable calls that are about to count here
}

// recorded is how much of what a cell holds has been recorded: a part of a sum, or the last value.
type recorded struct {
	n   int64
	has bool
}

// list has the tally's count recorded. It is called after each addition to the cell, and does something after the first.
func (n *note[K, P, C]) list() {
	if n.listed.Load() || !n.listed.CompareAndSwap(false, true) {
		return
	}
	j := n.tally.ledger.journal
	for {
		n.below = j.dirty.Load()
		if j.dirty.CompareAndSwap(n.below, n) {
			break
		}
	}
	j.wind()
}

// take notes that the cell was emptied into a flight.
func (n *note[K, P, C]) take() { n.taken, n.recorded = n.recorded, recorded{} }
