package fleet

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boottime is the clock that all processes of a machine share, and that goes on while one is stopped.
func Boottime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // fails for unknown clocks only
	return time.Duration(t.Nano())
}
