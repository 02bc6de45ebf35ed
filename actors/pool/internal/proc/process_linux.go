package proc

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanCap reports whether the memory of processes can be capped here.
const CanCap = true

func attributes(cgroup *Cgroup, survives bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if !survives {
		a.Pdeathsig = syscall.SIGKILL
	}
	if cgroup != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(cgroup.dir.Fd())
	}
	return a
}

// awaitExit waits until the process has ended, and leaves it to be reaped.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil
		}
	}
}

// Data tells how much data a process has mapped: what RLIMIT_DATA counts, and its stack, which is small.
type Data struct{ statm *os.File }

// DataOf opens what the kernel tells of a process.
func DataOf(pid int) (*Data, error) {
	statm, err := os.Open("/proc/" + strconv.Itoa(pid) + "/statm") // to read it costs a tenth of what status does
	if err != nil {
		return nil, err
	}
	return &Data{statm}, nil
}

// Bytes is how much that is now.
func (d *Data) Bytes() (int64, error) {
	var sizes [128]byte
	n, err := d.statm.ReadAt(sizes[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	fields := bytes.Fields(sizes[:n])
	if len(fields) < 6 {
		return 0, fmt.Errorf("statm is %q", sizes[:n])
	}
	pages, err := strconv.ParseInt(string(fields[5]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// Close closes it. A nil Data has nothing to close.
func (d *Data) Close() error {
	if d == nil {
		return nil
	}
	return d.statm.Close()
}

// CapData lets the process have at most so many bytes of data. The process could lift that again: it holds off mistakes, not
// malice, which CapAndExec does.
func CapData(pid int, bytes int64) error {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil); err != nil {
		return fmt.Errorf("RLIMIT_DATA: %w", err)
	}
	return nil
}

// CapAndExec lets this process have at most so many bytes of data, for good, and becomes the command.
func CapAndExec(bytes int64, path string, argv, env []string) error {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	if bytes > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &limit); err != nil {
			return fmt.Errorf("RLIMIT_DATA: %w", err)
		}
	}
	// The signal for the parent's death belongs to a thread, and this may not be the one that was started with it.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_PDEATHSIG: %w", err)
	}
	return unix.Exec(path, argv, env)
}
