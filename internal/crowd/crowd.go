// Package crowd counts those who wait somewhere, and lets a closing wait until there are none.
package crowd

import (
	"context"
	"sync/atomic"
)

// Crowd is a count of those who wait. Make it with New. It is safe for concurrent use; one at a time may call Wait.
type Crowd struct {
	count atomic.Int64
	none  chan struct{} // room for one: a hint to look at count
}

// New returns an empty crowd.
func New() *Crowd { return &Crowd{none: make(chan struct{}, 1)} }

// Enter counts one in.
func (c *Crowd) Enter() { c.count.Add(1) }

// Leave counts n out.
func (c *Crowd) Leave(n int) {
	if n > 0 && c.count.Add(-int64(n)) == 0 {
		select {
		case c.none <- struct{}{}:
		default:
		}
	}
}

// Len is how many there are.
func (c *Crowd) Len() int { return int(c.count.Load()) }

// Wait returns nil once nobody is there, or ctx's error.
func (c *Crowd) Wait(ctx context.Context) error {
	for c.count.Load() > 0 {
		select {
		case <-c.none:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
