//go:build unix && !linux

package proc

import (
	"errors"
	"syscall"
)

// CanCap reports whether the memory of processes can be capped here.
const CanCap = false

func attributes(*Cgroup, bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit cannot wait here without reaping.
func awaitExit(int) bool { return false }

// Data would tell how much data a process has mapped.
type Data struct{}

// DataOf fails with errors.ErrUnsupported.
func DataOf(int) (*Data, error) { return nil, errors.ErrUnsupported }

func (*Data) Bytes() (int64, error) { return 0, errors.ErrUnsupported }
func (*Data) Close() error          { return nil }

// CapData fails with errors.ErrUnsupported.
func CapData(int, int64) error { return errors.ErrUnsupported }

// CapAndExec becomes the command, if it is not to be capped.
func CapAndExec(bytes int64, path string, argv, env []string) error {
	if bytes > 0 {
		return errors.ErrUnsupported
	}
	return syscall.Exec(path, argv, env)
}
