package queue

import (
	"iter"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// Item is something that waits in a queue, and what decides its turn.
type Item[T any] struct {
	Value    T
	At       time.Time // when it came
	Deadline time.Time // when it is of no use any more; zero: never
	Flow     string    // flows share by weight inside a niceness
	Seq      uint64    // order of coming; no other item of the queue has it
	Nice     int       // -20 (most urgent) to 19
	Weight   int       // of its flow; less than 1 counts as 1
	Cost     int       // what it takes of its flow's share; less than 1 counts as 1
	Tries    int       // how often it has been handed out, of queues that hand out again
	place
}

// place is where an item waits in a [Line], which finds it by its method.
type place struct{ limit.Slot }

// Behavior is how a queue keeps what waits, and which of it goes next: the part of a queue that jobs calls its queue
// behaviour and lets users replace. A queue uses its Behavior from one place at a time, so it needs no lock, and tells it
// the time, so it needs no clock. It must not block. Package queuetest proves any Behavior.
//
// One that charges flows for what it hands out may also have a method Back, of the form of In: it takes in again what was
// handed out for nothing, and gives the flow back what that cost.
type Behavior[T any] interface {
	// In takes x in. Until it comes out again x belongs to the Behavior. The error is for what can never be taken in.
	In(now time.Time, x *Item[T]) error
	// Peek is what Out would take out now.
	Peek(now time.Time) (*Item[T], bool)
	// Out takes the next one out; false if nothing is to go.
	Out(now time.Time) (*Item[T], bool)
	// Remove takes x out, wherever it is in line, as if it had never come; false if it does not wait here.
	Remove(x *Item[T]) bool
	// TimedOut takes out and returns, oldest first, what has waited for maxTime or longer (0: no bound), and what the
	// Behavior itself gives up, for instance because there is more than can be served in time.
	TimedOut(now time.Time, maxTime time.Duration) []*Item[T]
	// Due is how long until TimedOut or Peek may have something that they have not now, if nothing else happens;
	// limit.Never if that will not be.
	Due(now time.Time, maxTime time.Duration) time.Duration
	// Oldest is what has waited longest.
	Oldest() (*Item[T], bool)
	// Len is how many wait: jobs' queue size, which MaxSize bounds.
	Len() int
	// All yields what waits, oldest first. Nothing may change meanwhile.
	All() iter.Seq[*Item[T]]
	// Info is what the Behavior has to tell of itself, for Info of its queue; nil if nothing.
	Info() any
	// Close ends the Behavior with its queue.
	Close() error
}

// Order is which of a queue's waiting requests goes first inside a flow. More urgent ones always go before.
type Order uint8

const (
	// FIFO lets the oldest go first.
	FIFO Order = iota
	// LIFO lets the newest go first: with callers that give up, the freshest has the best chance to be answered in time.
	LIFO
	// Adaptive is FIFO while the queue is healthy. When it has not been empty, and its oldest has waited longer than
	// Target, for a whole TargetInterval, it is overloaded: then the newest goes first, and who has waited for longer
	// than TargetInterval is refused.
	Adaptive
)

// String returns "fifo", "lifo" or "adaptive".
func (o Order) String() string {
	switch o {
	case FIFO:
		return "fifo"
	case LIFO:
		return "lifo"
	case Adaptive:
		return "adaptive"
	}
	return "unknown"
}
