//go:build unix

package proc

import (
	"os/exec"
	"runtime"
	"sync"
)

// Launcher starts processes from one thread that lives as long as it does. Linux sends a process the signal for its
// parent's death when the thread that started it ends, and Go ends threads at will. The zero Launcher is ready.
type Launcher struct {
	once   sync.Once
	starts chan start
	mu     sync.Mutex
	closed bool
}

type start struct {
	cmd    *exec.Cmd
	result chan error
}

func (l *Launcher) start(cmd *exec.Cmd) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrLauncherClosed
	}
	l.once.Do(func() {
		l.starts = make(chan start)
		go l.run()
	})
	defer l.mu.Unlock()
	s := start{cmd, make(chan error, 1)}
	l.starts <- s
	return <-s.result
}

// run never unlocks its thread, which therefore ends with it.
func (l *Launcher) run() {
	runtime.LockOSThread()
	for s := range l.starts {
		s.result <- s.cmd.Start()
	}
}

// Close ends the thread, and with it, on Linux, whatever it started and still runs. It may be called more than once.
func (l *Launcher) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.starts != nil {
		close(l.starts)
	}
	l.closed = true
}
