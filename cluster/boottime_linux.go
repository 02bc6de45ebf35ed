package cluster

import (
	"time"

	"golang.org/x/sys/unix"
)

// boottime is a clock that goes on while the machine sleeps, which Go's own does not: a lease does not wait for who sleeps.
func boottime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // every kernel that runs Go has it
	}
	return time.Duration(t.Nano())
}
