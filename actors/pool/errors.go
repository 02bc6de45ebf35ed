package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

// ErrKilled is the cause of a kill that was given none: Handler's user_killed.
var ErrKilled = errors.New("the user killed it")

// ErrGoexit is what a caller gets whose function ended its goroutine with runtime.Goexit.
var ErrGoexit = errors.New("the function ended its goroutine with runtime.Goexit")

// ErrStuck says that functions ignored the end of their context: Go cannot end them.
var ErrStuck = errors.New("functions are stuck")

// Reason is why a task was rejected.
type Reason uint8

const (
	accepted      Reason = iota // it was not
	NoWorkers                   // as many tasks run as may (MaxWorkers): penstock.ErrFull
	NoMemory                    // the tasks that run hold too much of MaxMemory, or it asks for more than there is: penstock.ErrFull
	NoPools                     // the delegate function named no pool, or none that is open: penstock.ErrFull
	PoolTimeout                 // the delegate function did not answer in time: penstock.ErrFull
	LineFull                    // as many wait as may (MaxWaiting): penstock.ErrFull
	WaitedTooLong               // it waited for MaxWait: penstock.ErrFull
	TooManyStuck                // too many functions ignore that their context has ended (MaxStuck): penstock.ErrFull
	Draining                    // the pool is being drained: penstock.ErrFull
	Closed                      // the pool, or one that it delegates to, was closed: penstock.ErrClosed
	Broken                      // the pool's actor failed too often while the task waited: the failure, such as a penstock.PanicError
	Away                        // the node of the pool is not there: a cluster.ErrAway
	Unregistered                // a pool of another node was to run a function that does not travel, or that it does not know: penstock.ErrInvalid
	TooLarge                    // the argument is too large to travel to another node: penstock.ErrInvalid

	reasons // how many there are
)

var reasonNames = [reasons]string{"accepted", "no_workers", "no_memory", "no_pools", "pool_timeout", "line_full", "waited_too_long", "too_many_stuck", "draining", "closed", "broken", "away", "unregistered", "too_large"}

// String names the reason as metrics do: "no_workers", "no_memory", "no_pools", …
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// RejectError is a task that was not run, and why: Handler's {:reject, exception}. Ask for it with errors.As, and for its
// class with errors.Is.
type RejectError struct {
	Node   string // whose pool it is; empty if it is one of this node
	Pool   string // the pool that had no room, which may be one that the asked one delegates to
	Task   string
	Reason Reason
	Need   int64         // the memory that the task asked for, in bytes
	Free   int64         // what the pool had of it; NoMemory only
	Waited time.Duration // how long it had waited
	Cause  error         // Broken: what the pool's actor failed of; Away: what came of asking; TooLarge: how large it is
}

func (e *RejectError) Error() string {
	var b strings.Builder
	b.WriteString(taskAt(e.Node, e.Pool, e.Task))
	b.WriteString(" was rejected: ")
	switch e.Reason {
	case NoWorkers:
		b.WriteString("no workers available")
	case NoMemory:
		fmt.Fprintf(&b, "insufficient memory: it asks for %d bytes, and %d are free", e.Need, e.Free)
	case NoPools:
		b.WriteString("no pools available")
	case PoolTimeout:
		b.WriteString("the delegate function did not answer in time")
	case LineFull:
		b.WriteString("as many tasks wait as may")
	case WaitedTooLong:
		fmt.Fprintf(&b, "it waited %v, as long as it may", e.Waited.Round(time.Microsecond))
	case TooManyStuck:
		b.WriteString("too many functions ignore that they were stopped")
	case Draining:
		b.WriteString("the pool is being drained")
	case Closed:
		b.WriteString("the pool was closed")
	case Broken:
		fmt.Fprintf(&b, "the pool's actor failed: %v", e.Cause)
	case Away:
		fmt.Fprintf(&b, "the node is away: %v", e.Cause)
	case Unregistered:
		b.WriteString("only calls of registered functions and of served modules travel to another node, and only of those that it has as well")
	case TooLarge:
		fmt.Fprintf(&b, "it does not travel to another node: %v", e.Cause)
	default:
		b.WriteString(e.Reason.String())
	}
	return b.String()
}

// Unwrap returns the rejection's class, or the cause if it has one.
func (e *RejectError) Unwrap() error {
	switch e.Reason {
	case Closed:
		return penstock.ErrClosed
	case Broken, Away:
		return e.Cause
	case Unregistered, TooLarge:
		return penstock.ErrInvalid
	}
	return penstock.ErrFull
}

// TimeoutError is a task that took longer than its MaxTime. It is a context.DeadlineExceeded.
type TimeoutError struct {
	Node  string // that ran it for this one; empty if this one did
	Pool  string // empty under [Guard]
	Task  string
	After time.Duration // its MaxTime
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s took more than %dms to complete", taskAt(e.Node, e.Pool, e.Task), e.After.Milliseconds())
}

// Unwrap returns context.DeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// KilledError is a task that was killed: by [Pool.Kill], [Pool.Flush], [Future.Kill], or because its pool was closed.
type KilledError struct {
	Node  string // that ran it for this one, and where it was killed; empty if that was here
	Pool  string
	Task  string
	Cause error // as the kill gave it; [ErrKilled] if it gave none
}

func (e *KilledError) Error() string {
	return fmt.Sprintf("%s was killed: %v", taskAt(e.Node, e.Pool, e.Task), e.Cause)
}

// Unwrap returns the cause.
func (e *KilledError) Unwrap() error { return e.Cause }

// MemoryError is a task that wanted more memory than it may have, in a tier that can tell: not on a plain goroutine.
type MemoryError struct {
	Node   string // that ran it for this one; empty if this one did
	Pool   string
	Task   string
	Tier   Tier
	Limit  int64  // in bytes
	Detail string // what the tier says of it; may be empty
}

func (e *MemoryError) Error() string {
	s := fmt.Sprintf("%s ran out of memory: it may have %d bytes", taskAt(e.Node, e.Pool, e.Task), e.Limit)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// CrashError is a task of the process tier whose process ended by itself without an answer, or a command, or a WebAssembly
// module, that ended with another status than 0.
type CrashError struct {
	Node     string // that ran it for this one; empty if this one did
	Pool     string
	Task     string
	ExitCode int    // -1 if a signal ended it
	Signal   string // empty if none did
	Stderr   string // the end of what it wrote to its standard error
}

func (e *CrashError) Error() string {
	how := fmt.Sprintf("exit status %d", e.ExitCode)
	if e.Signal != "" {
		how = "signal: " + e.Signal
	}
	s := fmt.Sprintf("%s crashed: %s", taskAt(e.Node, e.Pool, e.Task), how)
	if e.Stderr != "" {
		s += "\n" + e.Stderr
	}
	return s
}

// LostError is a task that a pool of another node was to run, and that may have run to its end, in part or not at all: the node was lost before
// it answered. It is a [cluster.ErrUnknown]. It is not run again.
type LostError struct {
	Node  string
	Pool  string
	Task  string
	Cause error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s: it is not known whether it ran to its end: %v", taskAt(e.Node, e.Pool, e.Task), e.Cause)
}

// Unwrap makes it a cluster.ErrUnknown, and its cause.
func (e *LostError) Unwrap() []error { return []error{cluster.ErrUnknown, e.Cause} }

func taskAt(node, pool, task string) string {
	if node == "" {
		return taskOf(pool, task)
	}
	return fmt.Sprintf("node %q: %s", node, taskOf(pool, task))
}

func taskOf(pool, task string) string {
	if pool == "" {
		return fmt.Sprintf("task %q", task)
	}
	return fmt.Sprintf("pool %q: task %q", pool, task)
}
