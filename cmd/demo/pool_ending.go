package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// ending is how an errand ended for its caller, in words.
type ending string

const (
	value       ending = "value"
	timedOut    ending = "timed out"
	panicked    ending = "panicked"
	goexited    ending = "Goexit"
	outOfMemory ending = "out of memory"
	wasKilled   ending = "killed"
	unreadable  ending = "unreadable" // the file could not be read
	givenUp     ending = "given up"   // its caller's context ended: an interruption, or overtime
	strange     ending = "strange"    // nothing of these
)

// exited is the ending of a process that exits by itself.
func exited(status int) ending { return ending(fmt.Sprintf("exit status %d", status)) }

// endingOf tells an answer's ending from its error.
func endingOf(err error) ending {
	if err == nil {
		return value
	}
	if crash, ok := errors.AsType[*pool.CrashError](err); ok {
		return exited(crash.ExitCode)
	}
	for _, class := range []struct {
		ending ending
		is     bool
	}{
		{timedOut, isA[*pool.TimeoutError](err)},
		{wasKilled, isA[*pool.KilledError](err)},
		{outOfMemory, isA[*pool.MemoryError](err)},
		{panicked, isA[*penstock.PanicError](err)},
		{goexited, errors.Is(err, pool.ErrGoexit)},
		{givenUp, errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)},
		{unreadable, isA[*fs.PathError](err) || isA[*pool.RemoteError](err)},
	} {
		if class.is {
			return class.ending
		}
	}
	return strange
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
