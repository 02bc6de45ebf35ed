package puppet

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// variable is the environment variable that makes a process a puppet: its part.
const variable = "PENSTOCK_PUPPET"

// failed is the exit code of a puppet whose part has returned an error.
const failed = 3

// Main plays the part, and ends the process, if it is a puppet; else it returns at once.
func Main(parts map[string]func(*Strings) error) {
	name, ok := os.LookupEnv(variable)
	if !ok {
		return
	}
	part := parts[name]
	if part == nil {
		fmt.Fprintf(os.Stderr, "puppet: there is no part %q\n", name)
		os.Exit(failed)
	}
	if err := part(newStrings(os.Stdin, os.Stdout)); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(failed)
	}
	os.Exit(0)
}

// Strings are what a puppet hangs on: they tell it what to do, and it answers. Tell may be called by several goroutines.
type Strings struct {
	in  *json.Decoder
	mu  sync.Mutex
	out *json.Encoder
}

func newStrings(in io.Reader, out io.Writer) *Strings {
	return &Strings{in: json.NewDecoder(bufio.NewReader(in)), out: json.NewEncoder(out)}
}

// Hear waits for the next thing that is said, and puts it in v. The error is io.EOF when the other side is gone.
func (s *Strings) Hear(v any) error { return s.in.Decode(v) }

// Tell says something.
func (s *Strings) Tell(v any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Encode(v)
}

// Puppet is a process that was started, as its master sees it: what it says is heard, and what it is told it does.
type Puppet struct {
	*Strings
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
	err   error // of the process, once it has ended
}

// Start starts this program again. The first thing that it is told is order.
func Start(part string, order any) (*Puppet, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), variable+"="+part)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attributes()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, w, err := os.Pipe() // not one of cmd's, which Wait would close before all was heard
	if err != nil {
		return nil, err
	}
	cmd.Stdout = w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	p := &Puppet{Strings: newStrings(out, in), cmd: cmd, stdin: in, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	if err := p.Tell(order); err != nil {
		p.Kill()
		return nil, fmt.Errorf("puppet %s: %w", part, err)
	}
	return p, nil
}

// Signal sends it a signal. One that has ended is none the worse for it.
func (p *Puppet) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill kills it, and returns when it is gone. It may be called more than once.
func (p *Puppet) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Ended is closed when it is gone.
func (p *Puppet) Ended() <-chan struct{} { return p.ended }

// Close lets it end by itself, and kills it when it takes too long. The error is what it ended with.
func (p *Puppet) Close(patience time.Duration) error {
	_ = p.stdin.Close()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-p.ended:
		return p.err
	case <-t.C:
		p.Kill()
		return fmt.Errorf("process %d did not end within %v", p.cmd.Process.Pid, patience)
	}
}

// Pid is its number.
func (p *Puppet) Pid() int { return p.cmd.Process.Pid }
