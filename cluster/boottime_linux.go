package cluster

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// boottime is a clock that goes on while the machine sleeps, which Go's own does not: a lease does not wait for who sleeps.
func boottime() time.Duration { return clock.now() }

var clock = bootClock{
	begun: time.Now(),
	boot: func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			panic(err) // every kernel that runs Go has it
		}
		return time.Duration(t.Nano())
	},
}

// bootClock tells the kernel's boot time without a system call, which would be dearer than all that a decision does otherwise. Where the
// machine has slept, its wall clock has moved and its monotonic one has not, by as much as the boot time is further: the kernel moves
// both in one go. So as long as these two move alike, the boot time has moved with them; else the kernel is asked.
type bootClock struct {
	begun time.Time
	boot  func() time.Duration
	known atomic.Pointer[reading]
}

// reading is what the clocks were at a moment.
type reading struct {
	ahead time.Duration // of the wall clock, before the monotonic one
	boot  time.Duration // of the boot time, likewise
}

// unnoticed is by how much the clocks may have moved apart: sleep that is shorter is not seen, and the wall clock is slewed by less than
// that for seconds.
const unnoticed = time.Millisecond

func (c *bootClock) now() time.Duration {
	t := time.Now()
	return c.at(time.Duration(t.UnixNano()), t.Sub(c.begun))
}

func (c *bootClock) at(wall, monotonic time.Duration) time.Duration {
	ahead := wall - monotonic
	k := c.known.Load()
	if k == nil || ahead-k.ahead > unnoticed || k.ahead-ahead > unnoticed {
		boot := c.boot()
		c.known.Store(&reading{ahead: ahead, boot: boot - monotonic})
		return boot
	}
	return monotonic + k.boot
}
