package stat

import (
	"sync/atomic"

	"github.com/penstock-go/penstock/internal/wheel"
	"github.com/penstock-go/penstock/registry"
)

// tally is a key's part of a buffer, in the key's entry: it outlives the key's actor. Callers touch the cell and since;
// everything else is guarded by the ledger's mutex.
//
// A key that is counted has one way through the ledger: its first increment arms it, which puts it on a stack without a lock;
// the next tick puts it into the schedule; when its time has come it is ready, and its actor is called, which collects what the
// cell holds into a batch. While the batch is on its way new increments arm the key again.
type tally[K, P comparable, C any] struct {
	cell C

	*course[K, P, C] // apart, so that what an increment touches is small: a hundred thousand keys then fit into the caches
}

// course is a tally's way through the ledger.
type course[K, P comparable, C any] struct {
	since atomic.Int64   // when it was armed, after the clock's epoch
	note  *note[K, P, C] // for the journal; nil if there is none

	stripes atomic.Pointer[stripes] // of a sum, that its Counters count in; nil while there is none

	ledger *ledger[K, P, C]
	entry  *registry.Entry[K, tally[K, P, C]]

	below  *tally[K, P, C]             // on the stack; who arms it may write it while it is in a list
	link   wheel.Link[*tally[K, P, C]] // in the wheel, or in the queue of those that are ready; when it is due is set by who armed it
	flight *batch[K, P, C]             // the batch that has what was collected last; nil once that was stored
	asked  *asking                     // who waits for what the cell holds
	flying *asking                     // who waits for the flight

	first, count int32  // its deltas in the flight
	mark         uint32 // how many batches had been stored when a flush of it was refused last
	tries        uint16 // of the same delta, over flushes that were refused
	level        uint8  // how small its flushes are to be: it is refused while others are stored
	where        place
	late         bool // it was to be collected while its flight was still on its way
	linked       bool // armed, and taken from the stack
	refused      bool // it is in the outbox's list of those that were refused

	registry.Life
}

// place is where a tally waits. It is in one at a time.
type place uint8

const (
	nowhere   place = iota
	scheduled       // in the schedule
	ready           // for its actor to be called
	called          // its actor has been sent the message
)

// Link is its place in the wheel or among those that are ready.
func (t *tally[K, P, C]) Link() *wheel.Link[*tally[K, P, C]] { return &t.link }

// Undelivered implements supervisor.Undeliverable: the tally is itself the message that calls its actor. What is due is
// collected without one, or it would stay here.
func (t *tally[K, P, C]) Undelivered(error) { t.ledger.collect(t) }

// idle reports whether nothing is on its way through the ledger. The cell may hold something that has just been added.
func (t *tally[K, P, C]) idle() bool {
	return !t.ledger.form.isArmed(t) && t.where == nowhere && t.flight == nil && !t.late && (t.note == nil || t.note.pins == 0)
}

// asking is a list of those who wait until something is stored.
type asking struct {
	ask  *ask
	next *asking
}

// waiting is the list without those at its head who have given up: somebody who asks again and again, a moment at a time, while
// the sink is not there, is in it once.
func (a *asking) waiting() *asking {
	for a != nil && a.ask.gaveUp {
		a = a.next
	}
	return a
}

// ask is a caller that waits until all that was counted before it asked is stored, of one key or of many.
type ask struct {
	left   int // keys
	err    error
	gaveUp bool
	done   chan struct{}
}

// settle tells everyone in the list that one more key is done.
func (a *asking) settle(err error) {
	for ; a != nil; a = a.next {
		if err != nil && a.ask.err == nil {
			a.ask.err = err
		}
		if a.ask.left--; a.ask.left == 0 {
			close(a.ask.done)
		}
	}
}

// with is the list and more.
func (a *asking) with(more *asking) *asking {
	for ; more != nil; more = more.next {
		a = &asking{ask: more.ask, next: a}
	}
	return a
}
