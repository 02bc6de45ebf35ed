package limit

import "time"

// CoDel tells a queue that stays long, which makes everybody late and serves
// nobody, from a burst, which is what a queue is for. It is controlled delay
// (Nichols and Jacobson, ACM Queue 2012) as it is used for requests (Maurer,
// Fail at Scale, ACM Queue 2015).
//
// The rule: the line is overloaded when its oldest has waited longer than
// target for a whole interval without a break, and healthy again as soon as
// nothing waits, or the oldest that does has waited no longer than target.
//
// Under overload a queue should serve the newest first, who can still be served
// in time, and refuse whoever has waited longer than an interval: see
// [CoDel.Patience]. Those between target and interval are left to wait, for
// that is what shows that the overload lasts: refused at target, they would
// leave a line that looks healthy.
//
// Not safe for concurrent use.
type CoDel struct {
	target, interval time.Duration

	waits bool // something does
	// since is when the oldest of the line got to target and has been beyond it
	// from then on, or when it will if nothing changes. Valid while something
	// waits.
	since time.Time
}

// The defaults of [NewCoDel], as in Fail at Scale.
const (
	defaultTarget   = 5 * time.Millisecond
	defaultInterval = 100 * time.Millisecond
)

// NewCoDel returns a CoDel of a line in which nothing waits. Target is a wait
// that hurts nobody; interval is how long a burst may last, several times
// target. 0 or less stands for the defaults, 5 ms and 100 ms; an interval below
// target counts as target.
func NewCoDel(target, interval time.Duration) *CoDel {
	if target <= 0 {
		target = defaultTarget
	}
	if interval <= 0 {
		interval = defaultInterval
	}
	return &CoDel{target: target, interval: max(interval, target)}
}

// Update is told at each change of the line how long its oldest has waited, or
// that it is empty. Between changes, CoDel knows by itself how the wait grows.
func (c *CoDel) Update(now time.Time, oldest time.Duration, empty bool) {
	if empty {
		c.waits = false
		return
	}
	reached := now.Add(c.target - oldest)
	// While the oldest is beyond target, so was the one before it, and longer.
	if !c.waits || oldest <= c.target || reached.Before(c.since) {
		c.since = reached
	}
	c.waits = true
}

// Overloaded reports whether something has waited longer than target for a
// whole interval without a break.
func (c *CoDel) Overloaded(now time.Time) bool {
	return c.waits && now.Sub(c.since) >= c.interval
}

// Until returns how long until Overloaded, if the line does not change: 0 if it
// is, [Never] if nothing waits.
func (c *CoDel) Until(now time.Time) time.Duration {
	if !c.waits {
		return Never
	}
	return max(c.interval-now.Sub(c.since), 0)
}

// Patience returns how long one may wait now: maxWait while the line is
// healthy, no longer than an interval while it is overloaded. As a maxWait, 0
// or less is no bound, and as a result 0.
func (c *CoDel) Patience(now time.Time, maxWait time.Duration) time.Duration {
	maxWait = max(maxWait, 0)
	if !c.Overloaded(now) {
		return maxWait
	}
	if maxWait == 0 {
		return c.interval
	}
	return min(maxWait, c.interval)
}
