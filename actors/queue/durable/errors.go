package durable

import (
	"fmt"

	"github.com/penstock-go/penstock"
)

// FullError says that a queue holds as many items as it may, dead letters included, or that as many callers wait for one.
// It is an [penstock.ErrFull].
type FullError struct {
	Queue  string
	Bound  int  // MaxSize, or MaxTakers
	Dead   int  // how many of the items are dead letters
	Takers bool // it is about those who wait in Dequeue
}

func (e *FullError) Error() string {
	switch {
	case e.Takers:
		return fmt.Sprintf("durable queue %q: %d callers wait for items already, as many as may", e.Queue, e.Bound)
	case e.Dead > 0:
		return fmt.Sprintf("durable queue %q: it has %d items, as many as it may; %d of them are dead letters, which can be requeued or purged",
			e.Queue, e.Bound, e.Dead)
	}
	return fmt.Sprintf("durable queue %q: it has %d items, as many as it may", e.Queue, e.Bound)
}

// Unwrap returns [penstock.ErrFull].
func (e *FullError) Unwrap() error { return penstock.ErrFull }

// StaleError says that a delivery is not its taker's any more, so that it cannot be acknowledged, given back or extended.
// If it was handed out again somebody else may be doing the same work.
type StaleError struct {
	Queue   string
	Receipt Receipt
	Why     string
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("durable queue %q: try %d of item %d is over: %s", e.Queue, e.Receipt.Try, e.Receipt.ID, e.Why)
}

// UnknownError says that a caller gave up while what it wanted was being written: it may be on disk or not.
type UnknownError struct {
	Queue string
	Op    string // "enqueue", "acknowledge", …
	Err   error  // the context's
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("durable queue %q: gave up waiting for %s; the outcome is unknown, it may be on disk: %v", e.Queue, e.Op, e.Err)
}

// Unwrap returns the context's error.
func (e *UnknownError) Unwrap() error { return e.Err }

// NotDeadError says that there is no dead letter of this ID.
type NotDeadError struct{ ID uint64 }

func (e *NotDeadError) Error() string { return fmt.Sprintf("there is no dead letter %d", e.ID) }
