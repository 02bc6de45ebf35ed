package stat

import (
	"errors"
	"fmt"
)

// ErrOverflow says that a sum is at its end, -MaxInt64 + 1 or MaxInt64, and that what was to be added beyond it was left out.
var ErrOverflow = errors.New("stat: a count reached the end of int64")

// ErrDropped says that a flush was tried as often as Config.MaxAttempts allows and was then given to Config.Dropped.
var ErrDropped = errors.New("stat: a flush was given up")

// NotStoredError is what Close returns when its time was up before everything was stored.
type NotStoredError struct {
	Buffer string
	// Keys is how many keys' counts were not stored, as far as is known: a flush that was under way may have been.
	Keys int
	// Kept says that the buffer's journal has them, and that the next buffer on the same file will store them. Without a
	// journal they went to Config.Dropped.
	Kept bool
	// Cause is the last failure of the sink; nil if there was none.
	Cause error
}

func (e *NotStoredError) Error() string {
	what := "were given to Dropped"
	if e.Kept {
		what = "are in the journal"
	}
	text := fmt.Sprintf("stat buffer %q: it was closed before the counts of %d keys were stored; they %s", e.Buffer, e.Keys, what)
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *NotStoredError) Unwrap() error { return e.Cause }
