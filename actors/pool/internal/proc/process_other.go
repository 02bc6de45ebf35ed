//go:build !unix

package proc

import (
	"errors"
	"os"
	"os/exec"
)

// CanCap reports whether the memory of processes can be capped here.
const CanCap = false

// ErrLauncherClosed says that nothing can be started any more.
var ErrLauncherClosed = errors.New("the launcher is closed")

// Launcher would start processes: there are no process groups here that could be killed whole.
type Launcher struct{}

// Close does nothing.
func (*Launcher) Close() {}

// Start fails with errors.ErrUnsupported.
func (*Launcher) Start(*exec.Cmd, *Cgroup, bool) (*Process, error) { return nil, errors.ErrUnsupported }

// Process is never made.
type Process struct{}

func (*Process) Pid() int              { return 0 }
func (*Process) Kill()                 {}
func (*Process) Gone() <-chan struct{} { return nil }
func (*Process) Exit() Exit            { return Exit{} }

// KillOwnGroup ends this process.
func KillOwnGroup() { os.Exit(1) }

// Data would tell how much data a process has mapped.
type Data struct{}

// DataOf fails with errors.ErrUnsupported.
func DataOf(int) (*Data, error) { return nil, errors.ErrUnsupported }

func (*Data) Bytes() (int64, error) { return 0, errors.ErrUnsupported }
func (*Data) Close() error          { return nil }

// CapData fails with errors.ErrUnsupported.
func CapData(int, int64) error { return errors.ErrUnsupported }

// AwaitHangup fails with errors.ErrUnsupported.
func AwaitHangup(int) error { return errors.ErrUnsupported }

// CapAndExec fails with errors.ErrUnsupported.
func CapAndExec(int64, string, []string, []string) error { return errors.ErrUnsupported }
