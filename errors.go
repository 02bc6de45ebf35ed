package penstock

import "github.com/penstock-go/penstock/supervisor"

// Classes of errors. Ask for them with errors.Is; details are in the errors' types.
var (
	// ErrClosed says that the system, or the part of it that was asked, has been closed.
	ErrClosed = supervisor.ErrClosed
	// ErrFull says that a bound was reached and that the call was refused at once, without waiting.
	ErrFull = supervisor.ErrFull
	// ErrExists says that the name is taken: what was to be added is there already.
	ErrExists = supervisor.ErrExists
	// ErrInvalid says that a configuration, an ID or a request can never be accepted as it is.
	ErrInvalid = supervisor.ErrInvalid
)

// PanicError is what a caller gets when a function of theirs panicked: the panic's value and the stack it came from.
// Ask for it with errors.As.
type PanicError = supervisor.PanicError
