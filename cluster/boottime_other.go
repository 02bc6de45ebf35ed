//go:build !linux

package cluster

import "time"

var start = time.Now()

// boottime is a clock that stands still while the machine sleeps on some systems: there, a node must not be put to sleep.
func boottime() time.Duration { return time.Since(start) }
