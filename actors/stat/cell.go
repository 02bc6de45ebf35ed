package stat

import "sync"

// answer is what became of an addition to a cell.
type answer uint8

const (
	counted   answer = iota
	saturated        // as far as int64 goes
	closed           // not counted: the cell was closed, and its key has another one or none
)

// emptied is what a cell is once what it held has been taken.
type emptied uint8

const (
	toIdle   emptied = iota // whoever adds to it next arms its key
	asItWas                 // armed, if it was: its key is on the stack or about to be, and must not come there twice
	toClosed                // for good
)

// latch is the part that cells with a lock have in common.
type latch struct {
	mu     sync.Mutex
	armed  bool // something was added since the cell was emptied
	closed bool
}

// enter is how an addition begins. first: the caller is the one who arms the key. The mutex is held.
func (l *latch) enter() (a answer, first bool) {
	if l.closed {
		return closed, false
	}
	first = !l.armed
	l.armed = true
	return counted, first
}

// leave is how emptying the cell ends. The mutex is held.
func (l *latch) leave(then emptied) {
	l.armed = l.armed && then == asItWas
	l.closed = then == toClosed
}

// shut closes the cell if it is idle.
func (l *latch) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = !l.armed
	return l.closed
}

func (l *latch) isShut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// isArmed reports whether something was added since the cell was emptied.
func (l *latch) isArmed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.armed
}
