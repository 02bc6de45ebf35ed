package durable

import "time"

// kind is what a write does.
type kind uint8

const (
	put         kind = iota // items come in
	handOut                 // a try is counted, and the values are read
	takeBack                // a try is not counted after all: nobody got the item
	acknowledge             // items are done
	giveBack                // items come back, at once or later
	bury                    // items go to the dead-letter list
	requeue                 // dead letters become items again
	purgeDead               // dead letters are done
)

// write is what has to be on disk before somebody may be told. It is written wholly or not at all, and its fields belong to
// the queue's mutex but while it is being written.
type write struct {
	kind   kind
	items  []*item
	bodies [][]byte      // the items' records to put, or the values that were read
	faults []error       // of a handOut: why an item cannot be handed out; nil if it can
	after  time.Duration // of a giveBack
	reason string        // of a giveBack, or of a bury that is not told by the items

	ids     []uint64 // of dead letters; none to purge: all
	newIDs  []uint64 // that requeued ones get
	records []record // that were requeued, without their values
	done    int      // how many dead letters were requeued or purged
	fault   error    // why a requeue could not be done; the rest of its transaction was

	reply chan error // room for the one answer; nil if nobody waits
	taker *taker     // of a handOut
	gone  bool       // whoever waited gave up while it was being written
}

// size is about how many bytes it writes.
func (w *write) size() int {
	n := 256 * (len(w.items) + len(w.ids))
	if w.kind == put {
		for _, b := range w.bodies {
			n += len(b)
		}
	}
	return n
}

// batch is the writes of one transaction.
type batch struct {
	writes []*write
	scrub  []uint64  // IDs that must not be on disk
	lastID uint64    // the highest that was given away
	at     time.Time // for what dies in it
}

// A transaction holds so much at most. It keeps what must be written at once, and who waits for it, from growing without bound.
const (
	maxBatch      = 4096
	maxBatchBytes = 8 << 20
)

// taker is a caller that waits for items.
type taker struct {
	n          int
	write      *write        // that counts its try; nil while it stands in line
	err        error         // why it gets none
	reply      chan struct{} // room for the one answer
	got        []handed      // its items
	prev, next *taker
	in         bool // it stands in line
}

// handed is an item as it was handed out.
type handed struct {
	item  item
	value []byte
}

// takers are those who wait, in the order of their coming.
type takers struct {
	first, last *taker
	n           int
}

func (l *takers) push(t *taker) {
	t.prev, t.next, t.in = l.last, nil, true
	if l.last != nil {
		l.last.next = t
	} else {
		l.first = t
	}
	l.last = t
	l.n++
}

func (l *takers) remove(t *taker) bool {
	if !t.in {
		return false
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.last = t.prev
	}
	t.prev, t.next, t.in = nil, nil, false
	l.n--
	return true
}
