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

// blockingPipe makes a pipe that its reader waits at in the system call. By the runtime's poller an answer would take half
// as long again: another thread would have to be woken, and to wake the reader.
func blockingPipe() (r, w *os.File, err error) {
	var p [2]int
	syscall.ForkLock.RLock() // what is started meanwhile would inherit it
	defer syscall.ForkLock.RUnlock()
	if err := syscall.Pipe(p[:]); err != nil {
		return nil, nil, os.NewSyscallError("pipe", err)
	}
	syscall.CloseOnExec(p[0])
	syscall.CloseOnExec(p[1])
	return os.NewFile(uintptr(p[0]), "|0"), os.NewFile(uintptr(p[1]), "|1"), nil
}
