//go:build !linux

package fleet

import "time"

// Boottime is the clock that all processes of a machine share.
func Boottime() time.Duration { return time.Duration(time.Now().UnixNano()) }
