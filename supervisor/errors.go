package supervisor

import (
	"errors"
	"fmt"
)

// Classes of errors, to be asked for with errors.Is. Package penstock exports them under the same names.
var (
	// ErrClosed says that the system, family or actor has been closed.
	ErrClosed = errors.New("penstock: closed")
	// ErrFull says that a bound was reached and the call was refused at once.
	ErrFull = errors.New("penstock: full")
	// ErrExists says that the name is taken: what was to be added is there already.
	ErrExists = errors.New("penstock: exists already")
	// ErrInvalid says that a configuration, an ID or a request can never be accepted as it is.
	ErrInvalid = errors.New("penstock: invalid")
)

// PanicError is a panic that was caught: what a user's function or an actor panicked with, and where.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // the panicking goroutine's stack
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the panic's value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// GaveUpError says that something failed more often than its restart intensity allows. ID is empty when it is the
// whole family.
type GaveUpError struct {
	Kind, Family, ID string
	Cause            error // the last failure
}

func (e *GaveUpError) Error() string {
	if e.ID == "" {
		return fmt.Sprintf("%s family %q failed too often and was closed: %v", e.Kind, e.Family, e.Cause)
	}
	return fmt.Sprintf("%s %q in family %q failed too often and was given up until its next use: %v", e.Kind, e.ID, e.Family, e.Cause)
}

// Unwrap returns the last failure.
func (e *GaveUpError) Unwrap() error { return e.Cause }
