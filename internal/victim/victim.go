// Package victim helps tests that kill a process: the test's own binary, started again. What it says on its standard output, a
// line at a time, is what it was promised before it died.
//
//	func TestMain(m *testing.M) {
//		victim.Main(work) // does not return in a process that Start has made
//		os.Exit(m.Run())
//	}
package victim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// variable is the environment variable that makes a process a victim: it holds what the test has for it, as JSON.
const variable = "PENSTOCK_VICTIM"

// Main does the work, and ends the process, if it is a victim; else it returns at once.
func Main[T any](work func(T) error) {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return
	}
	var spec T
	Must(json.Unmarshal([]byte(text), &spec))
	Must(work(spec))
	os.Exit(0)
}

// Must ends a victim that has an error.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

var saying sync.Mutex

// Say writes a line of a victim: what kind it is, and about what. It may be called by several goroutines.
func Say(kind, what string) {
	saying.Lock()
	defer saying.Unlock()
	_, err := fmt.Fprintf(os.Stdout, "%s%s\n", kind, what)
	Must(err)
}

// Process is a victim, as the test sees it.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    *bufio.Reader
	killed bool
}

// Start starts a victim, whose Main gets spec. It does not outlive the test.
func Start(t testing.TB, spec any) *Process {
	t.Helper()
	text, err := json.Marshal(spec)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &Process{t: t, cmd: cmd, out: bufio.NewReader(out)}
}

// Kill kills it with SIGKILL. It may be called more than once.
func (p *Process) Kill() {
	p.t.Helper()
	if !p.killed {
		p.killed = true
		require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGKILL))
	}
}

// Signal sends it another signal, such as SIGCONT; see Freeze for SIGSTOP.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// Lines is what it says, until it is dead: what it had said by then counts, however late it is read. A line that was cut off
// was not said.
func (p *Process) Lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			line, err := p.out.ReadString('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(p.t, err)
			if !yield(strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}

// Wait waits for its end, which must be one by Kill, or else a good one by itself.
func (p *Process) Wait() {
	p.t.Helper()
	err := p.cmd.Wait()
	if !p.killed {
		require.NoError(p.t, err, "it ended by itself")
	}
}

// Killed reports whether it was killed.
func (p *Process) Killed() bool { return p.killed }
