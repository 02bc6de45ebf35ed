//go:build unix

package victim

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Freeze stops a child with SIGSTOP, and returns when it stands still: the signal is sent before all of its threads have.
func Freeze(t testing.TB, p *os.Process) {
	t.Helper()
	require.NoError(t, p.Signal(syscall.SIGSTOP))
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(p.Pid, &status, syscall.WUNTRACED, nil)
		if err == syscall.EINTR {
			continue
		}
		require.NoError(t, err)
		require.True(t, status.Stopped(), "it ended instead")
		return
	}
}

// Freeze stops it until it gets a SIGCONT.
func (p *Process) Freeze() {
	p.t.Helper()
	Freeze(p.t, p.cmd.Process)
}
