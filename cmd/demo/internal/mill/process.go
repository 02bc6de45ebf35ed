package mill

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Process is a mill that runs.
type Process struct {
	URL string

	startup time.Duration // processor time that it took to get ready
	command *exec.Cmd
	stderr  *strings.Builder
	counted chan int // receives once how many requests were done, when the mill has ended
	close   func() (Totals, error)
}

// Totals are what a mill did from its start to its end.
type Totals struct {
	Done      int           // requests whose work was done, whether or not anybody still waited for the answer
	Processor time.Duration // processor time that it used once it was ready
	Memory    int64         // most bytes of memory that it ever used; 0 where the system does not tell
}

// Start starts this program once more, as a mill, and waits until it serves.
func Start(cfg Config) (*Process, error) {
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{command: exec.Command(program), stderr: new(strings.Builder), counted: make(chan int, 1)}
	p.close = sync.OnceValues(p.end)
	p.command.Env = append(os.Environ(), Variable+"="+string(config))
	p.command.Stderr = p.stderr
	if _, err := p.command.StdinPipe(); err != nil { // it ends, and with it the mill, when this process does
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(stdout)
	var ready greeting
	line, err := reader.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		p.counted <- 0
		_, _ = p.Close()
		return nil, fmt.Errorf("the server does not start: %w: %s", err, p.stderr)
	}
	p.URL, p.startup = ready.URL, ready.Startup
	go func() {
		n, _ := io.Copy(io.Discard, reader) // ends with the mill
		p.counted <- int(n)
	}()
	return p, nil
}

// Close ends the mill at once, with all that it still had to do, and returns what it did. It may be called more than once.
func (p *Process) Close() (Totals, error) { return p.close() }

func (p *Process) end() (Totals, error) {
	totals := Totals{Memory: peakMemory(p.command.Process.Pid)}
	err := p.command.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	totals.Done = <-p.counted
	_ = p.command.Wait() // it was killed, and says so
	if state := p.command.ProcessState; state != nil {
		totals.Processor = state.UserTime() + state.SystemTime() - p.startup
	}
	return totals, err
}
