package limit

import "fmt"

// Counter bounds how much is in use at the same time, as jobs do with counters.
// The zero Counter has a limit of 0: nothing passes. Not safe for concurrent use.
type Counter struct {
	limit, used int
}

// NewCounter returns a counter of which nothing is in use. A negative limit is
// an error; with 0 nothing passes.
func NewCounter(limit int) (Counter, error) {
	var c Counter
	err := c.SetLimit(limit)
	return c, err
}

// Take takes n if used + n ≤ limit, and reports whether it did. A negative n
// is refused.
func (c *Counter) Take(n int) bool {
	if n < 0 || n > c.limit-c.used {
		return false
	}
	c.used += n
	return true
}

// Give gives n back. It reports false if n is negative, which changes nothing,
// or more than was in use, which leaves nothing in use.
func (c *Counter) Give(n int) bool {
	if n < 0 {
		return false
	}
	ok := n <= c.used
	c.used = max(c.used-n, 0)
	return ok
}

// Used returns how much is in use; more than the limit after that was lowered.
func (c *Counter) Used() int { return c.used }

// Limit returns the limit.
func (c *Counter) Limit() int { return c.limit }

// SetLimit changes the limit. Below what is in use it takes nothing away: no
// more passes until enough is given back. A negative limit is an error and changes nothing.
func (c *Counter) SetLimit(limit int) error {
	if limit < 0 {
		return fmt.Errorf("counter limit: %d, want 0 or more", limit)
	}
	c.limit = limit
	return nil
}
