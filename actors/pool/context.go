package pool

import (
	"context"
	"sync"
	"time"
)

// jobContext is what a job's function gets: a context that knows its job and its deadline. Most of what makes a context is
// made when the function asks for it, for many never do.
type jobContext struct {
	job    *job
	caller context.Context

	mu     sync.Mutex
	ended  bool
	cause  error                   // valid once it has ended
	inner  context.Context         // nil until it is needed; then it carries the end of both the caller's and the job's
	cancel context.CancelCauseFunc // of inner
}

// end ends the context with a cause.
func (c *jobContext) end(cause error) {
	c.mu.Lock()
	c.ended, c.cause = true, cause
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

// whole is the context with all that belongs to it.
func (c *jobContext) whole() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancelCause(c.caller)
		if c.ended {
			c.cancel(c.cause)
		}
	}
	return c.inner
}

// Deadline is the end of the task's MaxTime, or the caller's deadline if that is sooner.
func (c *jobContext) Deadline() (time.Time, bool) {
	if d, ok := c.caller.Deadline(); ok && d.Before(c.job.deadline) {
		return d, true
	}
	return c.job.deadline, true
}

func (c *jobContext) Done() <-chan struct{} { return c.whole().Done() }

// Err is context.DeadlineExceeded after a timeout, as it is with a context that has its own timer.
func (c *jobContext) Err() error {
	c.mu.Lock()
	ended, cause := c.ended, c.cause
	c.mu.Unlock()
	if !ended {
		return c.caller.Err()
	}
	if _, timeout := cause.(*TimeoutError); timeout {
		return context.DeadlineExceeded
	}
	return c.whole().Err()
}

// Value finds the job, what the caller's context holds and, unless that has its own, the labels of the job's goroutine.
func (c *jobContext) Value(key any) any {
	if key == (jobKey{}) {
		return &c.job.Job
	}
	if v := c.whole().Value(key); v != nil {
		return v
	}
	if w := c.job.worker; w != nil {
		return w.labels.Value(key)
	}
	return nil
}
