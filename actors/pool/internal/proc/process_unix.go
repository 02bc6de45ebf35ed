//go:build unix

package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrLauncherClosed says that nothing can be started any more.
var ErrLauncherClosed = errors.New("the launcher is closed")

// Process is a process that leads a group of its own, and goes with all of it.
type Process struct {
	cmd    *exec.Cmd
	cgroup *Cgroup // nil unless its memory is capped by one
	gone   chan struct{}
	err    error // of waiting; valid once gone is closed

	mu     sync.Mutex
	reaped bool // its number may be another's by now
}

// Start starts the command as the leader of a new group, in cgroup unless that is nil. What it is given as input and output
// is that of cmd. On Linux it is killed when this process dies, unless it sees to that by itself.
func (l *Launcher) Start(cmd *exec.Cmd, cgroup *Cgroup, seesToItself bool) (*Process, error) {
	cmd.SysProcAttr = attributes(cgroup, seesToItself)
	if err := l.start(cmd); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, cgroup: cgroup, gone: make(chan struct{})}
	go p.wait()
	return p, nil
}

// wait waits for the process's end and ends what is left of its group. Until it is reaped its number, which is the group's
// too, cannot become another's.
func (p *Process) wait() {
	defer close(p.gone)
	ended := awaitExit(p.cmd.Process.Pid)
	p.mu.Lock()
	if ended {
		p.killGroup()
		p.reaped = true
	}
	p.mu.Unlock()
	p.err = p.cmd.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
}

// Pid is the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process with its whole group, at once. A descendant that has left the group lives on, unless a cgroup holds
// it.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.killGroup()
	}
}

func (p *Process) killGroup() {
	if p.cgroup != nil {
		p.cgroup.Kill()
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have nobody left
}

// Gone is closed once the process and its group have ended and are reaped.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Exit tells how the process ended, once it is gone.
func (p *Process) Exit() Exit {
	state := p.cmd.ProcessState
	if state == nil {
		return Exit{Code: -1, Err: p.err}
	}
	e := Exit{Code: state.ExitCode()}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal().String()
	}
	if failed := new(exec.ExitError); p.err != nil && !errors.As(p.err, &failed) {
		e.Err = fmt.Errorf("waiting for it: %w", p.err)
	}
	return e
}

// AwaitHangup waits until nobody holds the other end of a pipe that this process reads from, without reading.
func AwaitHangup(fd int) error {
	for {
		fds := []unix.PollFd{{Fd: int32(fd)}} // no events: the hang-up is always told
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return err
		}
		if fds[0].Revents != 0 {
			return nil
		}
	}
}

// KillOwnGroup ends this process and its group.
func KillOwnGroup() {
	_ = syscall.Kill(0, syscall.SIGKILL)
	os.Exit(1)
}
