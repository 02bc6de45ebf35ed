// Package clock reads the time the way a gate can afford it.
package clock

import "time"

// A Clock tells the time as an offset from its epoch. It reads only the monotonic clock, which costs half of what
// time.Now does and never jumps; the wall time of what Now returns is the epoch's plus what has passed since, so it
// drifts from the machine's when that is set. Calendar limits therefore ask time.Now.
type Clock struct{ epoch time.Time }

// New returns a clock whose epoch is now.
func New() Clock { return From(time.Now()) }

// From returns a clock whose epoch is a reading of time.Now.
func From(epoch time.Time) Clock { return Clock{epoch: epoch} }

// Elapsed is the time since the epoch.
func (c Clock) Elapsed() time.Duration { return time.Since(c.epoch) }

// Now is the present moment, read from the monotonic clock alone.
func (c Clock) Now() time.Time { return c.epoch.Add(time.Since(c.epoch)) }

// At is the moment that lies elapsed after the epoch.
func (c Clock) At(elapsed time.Duration) time.Time { return c.epoch.Add(elapsed) }

// Offset is how long after the epoch a moment lies.
func (c Clock) Offset(t time.Time) time.Duration { return t.Sub(c.epoch) }
