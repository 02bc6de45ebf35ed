package sqlite

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machineClock is one that all processes of the machine share, that nobody sets, and that goes on while the machine sleeps. It starts
// anew when the machine does, which the boot's ID tells.
func machineClock() (leaseClock, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return leaseClock{}, fmt.Errorf("which boot this is: %w", err)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return leaseClock{}, fmt.Errorf("the time since the boot: %w", err)
	}
	return leaseClock{boot: strings.TrimSpace(string(boot)), now: sinceBoot}, nil
}

func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // it was there before
	}
	return time.Duration(t.Nano())
}
