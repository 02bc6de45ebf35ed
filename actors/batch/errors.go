package batch

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock/cluster"
)

var (
	// ErrCancelled says that an operation's context ended before it ran: nothing was changed. It comes with the context's error.
	ErrCancelled = errors.New("batch: the operation was cancelled before it ran")
	// ErrConflict is what Save answers, wrapped or not, when somebody else has written the resource since it was loaded. The
	// batch then loads it again and runs its operations again. Callers get it when that happened too often.
	ErrConflict = errors.New("batch: somebody else has written the resource since it was loaded")
	// ErrRecursive says that an operation has called the processor for the key that it runs on, which would wait for itself.
	ErrRecursive = errors.New("batch: an operation called the processor for its own key")
	// ErrNotOwner is the class of a [NotOwnerError].
	ErrNotOwner = errors.New("batch: another node owns the key")
	// ErrStaleEpoch says that another node has come to own the key since this one loaded its resource: nothing of the batch was stored.
	// Load and Save answer it, wrapped or not, when they find a later epoch than the one they were given.
	ErrStaleEpoch = errors.New("batch: another node has come to own the key since")
	// ErrUnregistered says that the key's owner has no operation of that name: it runs another version of the program.
	ErrUnregistered = errors.New("batch: the owner of the key has no such operation")
	// ErrUnsent says that an operation is done and stored at the key's owner, and that its result could not be sent.
	ErrUnsent = errors.New("batch: it is stored, but its result cannot be sent")
)

// NotOwnerError says that a function cannot run here, for it cannot travel to the node that owns its key: that takes an operation which
// is registered there, by [Register]. Nothing was done. It is an [ErrNotOwner].
type NotOwnerError struct {
	Processor string
	Key       string // as text
	Owner     string // the node's name; empty if nobody is known to own the key now
}

func (e *NotOwnerError) Error() string {
	owner := "no node is known to own it now"
	if e.Owner != "" {
		owner = fmt.Sprintf("node %q owns it", e.Owner)
	}
	return fmt.Sprintf("batch processor %q: key %q: %s; functions run at the owner only, and operations of Register everywhere", e.Processor, e.Key, owner)
}

// Unwrap makes it an ErrNotOwner.
func (e *NotOwnerError) Unwrap() error { return ErrNotOwner }

// remoteError is an error of another node: a [cluster.RemoteError] whose class is one of this package too.
type remoteError struct {
	remote *cluster.RemoteError
	class  error
}

func (e *remoteError) Error() string   { return e.remote.Error() }
func (e *remoteError) Unwrap() []error { return []error{e.remote, e.class} }

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
// batches do and keep all shards. The key takes no operations until the function has returned. Whether a batch is stored that is stuck in
// its save is not known: then it is a [cluster.ErrUnknown]. Else nothing is.
type StuckError struct {
	What  string // "load", "operation", "save", "waiting for a shard", or "the save before", of operations that have not begun
	After time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("batch: stuck for %v in: %s", e.After, e.What)
}

// Is makes it a cluster.ErrUnknown if its operation may be stored.
func (e *StuckError) Is(target error) bool {
	return target == cluster.ErrUnknown && e.What == phases[saving]
}
