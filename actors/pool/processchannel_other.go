//go:build !unix

package pool

import "os"

// openChannel opens the ends of the channel that a child is given.
func openChannel() (requests, answers *os.File) {
	return os.NewFile(requestsFD, "requests"), os.NewFile(answersFD, "answers")
}

// blockingPipe makes a pipe.
func blockingPipe() (r, w *os.File, err error) { return os.Pipe() }
