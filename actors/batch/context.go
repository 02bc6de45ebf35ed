package batch

import (
	"context"
	"sync"
	"time"
)

// lateContext is what Load and Save get: a context with a deadline, whose timer and channel are made when they are asked for.
// Most of what is loaded and saved in memory never does.
type lateContext struct {
	parent   context.Context // carries the deadline's error only once inner is there
	deadline time.Time

	mu     sync.Mutex
	ended  bool
	inner  context.Context // nil until it is needed
	cancel context.CancelFunc
}

// end ends the context: the function has returned.
func (c *lateContext) end() {
	c.mu.Lock()
	c.ended = true
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// whole is the context with all that belongs to it.
func (c *lateContext) whole() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithDeadline(c.parent, c.deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.inner
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }
func (c *lateContext) Done() <-chan struct{}       { return c.whole().Done() }
func (c *lateContext) Err() error                  { return c.whole().Err() }
func (c *lateContext) Value(key any) any           { return c.parent.Value(key) }
