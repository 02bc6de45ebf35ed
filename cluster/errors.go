package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

var (
	// ErrMine says that this node is the owner itself.
	ErrMine = errors.New("cluster: this node is the owner")
	// ErrMoved is what a room refuses with when it has lost what a call is about: whoever asked asks the new owner.
	ErrMoved = errors.New("cluster: this node is the owner no more")
	// ErrAway is the class of an [AwayError].
	ErrAway = errors.New("cluster: the owner is away")
	// ErrUnknown is the class of an [UnknownError].
	ErrUnknown = errors.New("cluster: it is not known whether it was done")
)

// AwayError says that there is nobody to ask. It is an [ErrAway].
type AwayError struct {
	ID     string // what its owner was to be asked about; empty if a member was to be asked
	Member string // who does not answer; empty if nobody is known to own the ID
	Why    error
}

func (e *AwayError) Error() string {
	switch {
	case e.ID == "":
		return fmt.Sprintf("node %q cannot be asked: %v", e.Member, e.Why)
	case e.Member == "":
		return fmt.Sprintf("%q has no owner now: %v", e.ID, e.Why)
	}
	return fmt.Sprintf("node %q, which owns %q, cannot be asked: %v", e.Member, e.ID, e.Why)
}

// Unwrap makes it an ErrAway, and what is in Why.
func (e *AwayError) Unwrap() []error { return []error{ErrAway, e.Why} }

// UnknownError says that a node was asked to do something, and that its answer is lost for good. It is an [ErrUnknown].
type UnknownError struct {
	Member string
	Why    error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("it is not known whether node %q has done it: %v", e.Member, e.Why)
}

// Unwrap makes it an ErrUnknown, and what is in Why.
func (e *UnknownError) Unwrap() []error { return []error{ErrUnknown, e.Why} }

// RemoteError is what the room of another node refused with. Its class, such as [penstock.ErrFull], is known again; the rest is text.
type RemoteError struct {
	Member string
	Text   string
	class  error
}

func (e *RemoteError) Error() string { return fmt.Sprintf("node %q: %s", e.Member, e.Text) }

// Unwrap is the class, or nil.
func (e *RemoteError) Unwrap() error { return e.class }

// classes are the errors that are known again on another node.
var classes = map[messages.ErrorClass]error{
	messages.ErrorClass_ERROR_CLASS_INVALID:  penstock.ErrInvalid,
	messages.ErrorClass_ERROR_CLASS_FULL:     penstock.ErrFull,
	messages.ErrorClass_ERROR_CLASS_CLOSED:   penstock.ErrClosed,
	messages.ErrorClass_ERROR_CLASS_EXISTS:   penstock.ErrExists,
	messages.ErrorClass_ERROR_CLASS_CANCELED: context.Canceled,
	messages.ErrorClass_ERROR_CLASS_DEADLINE: context.DeadlineExceeded,
	messages.ErrorClass_ERROR_CLASS_AWAY:     ErrAway,
}

func classOf(err error) messages.ErrorClass {
	for class, is := range classes {
		if errors.Is(err, is) {
			return class
		}
	}
	return messages.ErrorClass_ERROR_CLASS_OTHER
}
