//go:build unix

package mill

import (
	"syscall"
	"time"
)

// processorUsed is the processor time that this process has used; 0 where the system does not tell.
func processorUsed() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
