package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-go/penstock"
)

// Trap is what an instance did that ended it.
type Trap string

// The traps of WebAssembly. A [TrapError] may have others, in wazero's words.
const (
	Unreachable       Trap = "unreachable" // what compilers make of panics and failed assertions
	OutOfBounds       Trap = "out of bounds memory access"
	DivideByZero      Trap = "integer divide by zero"
	IntegerOverflow   Trap = "integer overflow"
	InvalidConversion Trap = "invalid conversion to integer"
	TableAccess       Trap = "invalid table access" // out of bounds, or there is no function
	TypeMismatch      Trap = "indirect call type mismatch"
	StackOverflow     Trap = "stack overflow" // beyond Config.MaxStack
)

// TrapError is a call that ended with a trap. Its instance is gone; the next call gets another one.
type TrapError struct {
	Module   string
	Function string // that was called, not that trapped
	Trap     Trap
	Stack    string // the module's functions, the innermost first, one a line; may be empty
	Stderr   string // the first and the last 2 KiB of what the instance wrote to its standard output and error during the call
}

func (e *TrapError) Error() string {
	return says(fmt.Sprintf("wasm module %q: %s trapped: %s", e.Module, e.Function, e.Trap), e.Stderr)
}

// GuestError is what a function that was called by [Module.Bytes] answered instead of bytes.
type GuestError struct {
	Module   string
	Function string
	Text     string // at most Config.MaxOutput bytes
}

func (e *GuestError) Error() string {
	return fmt.Sprintf("wasm module %q: %s: %s", e.Module, e.Function, e.Text)
}

// AnswerError is an answer that cannot be used: it is longer than Config.MaxOutput, or not where it should be. Its instance
// is gone.
type AnswerError struct {
	Module   string
	Function string
	Why      string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("wasm module %q: the answer of %s cannot be used: %s", e.Module, e.Function, e.Why)
}

// says adds the first line of what an instance wrote.
func says(s, stderr string) string {
	if line, _, _ := strings.Cut(strings.TrimLeft(stderr, "\n"), "\n"); line != "" {
		return s + ": " + line
	}
	return s
}

// What ends an instance from outside. They are panicked with in the host's functions, and come back wrapped.
var (
	errStopped   = errors.New("stopped")
	errStack     = errors.New("the stack is too large")
	errTooLong   = errors.New("too much was written")
	errCondemned = fmt.Errorf("%w, and what still ran was stopped", penstock.ErrClosed)
)
