package batch

import (
	"errors"
	"runtime/debug"
	"sync/atomic"

	"github.com/penstock-go/penstock"
)

// operation is a caller's, and where the caller waits for the answer. It ends in one way: answered, or cancelled before it
// ran.
type operation[R any] struct {
	plain func(R)       // what it does, …
	fn    func(R) error // … or this
	fate  atomic.Int32
	err   error      // its own, of the last time it ran; its batch's goroutine has it
	left  bool       // it was answered although it may be running
	lost  bool       // nothing of it is stored, and somebody else is to be asked: its key has moved
	line  uint64     // that it waits in, if its key's is the same, and is not known to have left; its key's mutex guards it
	reply chan error // the batch's, or its own; room for one
}

// The fates of an operation.
const (
	waits     int32 = iota // it may still be cancelled
	ran                    // its caller waits for the end of the batch
	answered               // its caller has, or is about to have, its answer
	cancelled              // its caller is gone
)

// nowhere is the number of no line.
const nowhere = ^uint64(0)

var errGoexit = errors.New("batch: the function called runtime.Goexit")

// run runs the operation and reports whether its batch may go on.
func (o *operation[R]) run(value R) (aborted *AbortError) {
	o.err = errGoexit // unless it returns
	if o.err = o.call(value); o.err == nil {
		return nil
	}
	return abortion(o.err)
}

func abortion(err error) (aborted *AbortError) {
	errors.As(err, &aborted)
	return aborted
}

func (o *operation[R]) call(value R) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	if o.plain != nil {
		o.plain(value)
		return nil
	}
	return o.fn(value)
}

// start reports whether the operation is to run: for the first time, or again.
func (o *operation[R]) start(again bool) bool {
	return o.fate.CompareAndSwap(waits, ran) || again && o.fate.Load() == ran
}

// again makes it one that waits, and reports whether it is to run: nobody has gone.
func (o *operation[R]) again() bool {
	o.err = nil
	o.fate.CompareAndSwap(ran, waits)
	return o.fate.Load() == waits
}

// claim reports whether it is the caller of claim who tells the operation's caller; there may be none any more.
func (o *operation[R]) claim() bool {
	return o.fate.CompareAndSwap(ran, answered) || o.fate.CompareAndSwap(waits, answered)
}

// answer tells the caller, unless there is none any more: the operation's own error if it has one, else the batch's.
func (o *operation[R]) answer(err error) bool {
	if !o.claim() {
		return false
	}
	if o.err != nil {
		err = o.err
	}
	o.reply <- err
	return true
}

// refuse tells the caller that nothing of it is stored, whatever became of it here: its key has moved.
func (o *operation[R]) refuse(err error) bool {
	if !o.claim() {
		return false
	}
	o.lost = true
	o.reply <- err
	return true
}

// leave tells the caller although the operation may be running.
func (o *operation[R]) leave(err error) bool {
	if !o.claim() {
		return false
	}
	o.left = true
	o.reply <- err
	return true
}
