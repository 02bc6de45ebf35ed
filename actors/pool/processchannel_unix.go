//go:build unix

package pool

import (
	"os"
	"syscall"
)

// openChannel opens the ends of the channel that a child is given, which what it starts does not inherit.
func openChannel() (requests, answers *os.File) {
	syscall.CloseOnExec(requestsFD)
	syscall.CloseOnExec(answersFD)
	return os.NewFile(requestsFD, "requests"), os.NewFile(answersFD, "answers")
}
