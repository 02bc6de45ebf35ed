//go:build !linux

package sqlite

import "time"

// machineClock is the wall clock, the one that all processes share everywhere. Who sets it forward ends leases too early.
func machineClock() (leaseClock, error) {
	return leaseClock{boot: "any", now: func() time.Duration { return time.Duration(time.Now().UnixNano()) }}, nil
}
