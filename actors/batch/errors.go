package batch

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrCancelled says that an operation's context ended before it ran: nothing was changed. It comes with the context's error.
	ErrCancelled = errors.New("batch: the operation was cancelled before it ran")
	// ErrConflict is what Save answers, wrapped or not, when somebody else has written the resource since it was loaded. The
	// batch then loads it again and runs its operations again. Callers get it when that happened too often.
	ErrConflict = errors.New("batch: somebody else has written the resource since it was loaded")
	// ErrRecursive says that an operation has called the processor for the key that it runs on, which would wait for itself.
	ErrRecursive = errors.New("batch: an operation called the processor for its own key")
)

// AbortError is what every caller of a batch gets that an operation has kept from being saved.
type AbortError struct{ Cause error }

func (e *AbortError) Error() string { return "batch: aborted and not saved: " + e.Cause.Error() }
func (e *AbortError) Unwrap() error { return e.Cause }

// Abort is what an operation returns, wrapped or not, to have its batch not saved. It ends the batch at once: its caller and
// those whose operations had run get an [AbortError], and those whose operations had not are in the next batch.
func Abort(cause error) error {
	if cause == nil {
		cause = errors.New("no reason was given")
	}
	return &AbortError{Cause: cause}
}

// StuckError says that a batch was not done long after its MaxDuration: a function ignores its context, or functions of other
// batches do and keep all shards. Whether what was under way is saved is not known. The key takes no operations until
// the function has returned.
type StuckError struct {
	What  string // "load", "operation", "save" or "waiting for a shard"
	After time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("batch: stuck for %v in: %s", e.After, e.What)
}
