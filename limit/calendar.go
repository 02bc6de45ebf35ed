package limit

import (
	"math"
	"time"
)

// calendar counts in windows of the wall clock. Window k is open from k·per +
// slack to (k+1)·per + slack. What is taken within slack of the boundary it
// closes after may arrive on either side: it counts in k and in k+1.
type calendar struct {
	window int64 // index of the open window; never goes back
	count  int64 // taken in it, or near enough to its beginning
	tail   int64 // the part of count that counts in the next window too
	latest int64 // wall clock at the last take
	closed int64 // wall clock at the last take of a window that has closed, or MinInt64
	born   int64 // instant.at: takes before this are not in count
}

func newCalendar(born int64) *calendar {
	return &calendar{window: math.MinInt64, latest: math.MinInt64, closed: math.MinInt64, born: born}
}

// windowOf is the window open at wall.
func (sp *spec) windowOf(wall int64) int64 {
	k := (wall - sp.slack) / sp.per
	if k*sp.per > wall-sp.slack {
		k-- // division rounds towards zero: times before 1970
	}
	return k
}

// advance opens the window of now and returns now, not before what it has
// already seen.
func (c *calendar) advance(sp *spec, wall int64) int64 {
	wall = max(wall, c.latest)
	k := sp.windowOf(wall)
	if k <= c.window {
		return max(wall, c.window*sp.per+sp.slack)
	}
	if c.count > 0 {
		c.closed = c.latest
	}
	if c.window != math.MinInt64 && k == c.window+1 {
		c.count = c.tail
	} else {
		c.count = 0
	}
	c.window, c.tail = k, 0
	return wall
}

// near reports whether wall, in the open window, is near its closing boundary.
func (c *calendar) near(sp *spec, wall int64) bool {
	return wall >= (c.window+1)*sp.per-sp.slack && sp.slack > 0
}

func (c *calendar) fits(sp *spec, now instant, cost, ceiling int64) bool {
	c.advance(sp, now.wall)
	return c.count+cost <= ceiling
}

func (c *calendar) wait(sp *spec, now instant, cost, ceiling int64) time.Duration {
	if c.fits(sp, now, cost, ceiling) {
		return 0
	}
	next := c.window + 1
	if c.tail+cost > ceiling {
		next++
	}
	return time.Duration(next*sp.per + sp.slack - now.wall)
}

func (c *calendar) take(sp *spec, now instant, cost int64) int64 {
	c.latest = c.advance(sp, now.wall)
	c.count += cost
	if c.near(sp, c.latest) {
		c.tail += cost
	}
	return c.count
}

func (c *calendar) give(sp *spec, now, at instant, cost int64) {
	c.advance(sp, now.wall)
	if at.at < c.born {
		return
	}
	opened := c.window*sp.per + sp.slack
	if at.wall >= opened-2*sp.slack { // nearer to the boundary than slack, or later
		c.count = max(c.count-cost, 0)
	}
	if c.near(sp, at.wall) {
		c.tail = max(c.tail-cost, 0)
	}
}

func (c *calendar) used(sp *spec, now instant) int64 {
	c.advance(sp, now.wall)
	return c.count
}

func (c *calendar) fresh(sp *spec, now instant) bool {
	return c.advance(sp, now.wall) == now.wall && c.count == 0
}

// change keeps what is used: in its window when Per is the same, else in the
// one that is current now.
func (c *calendar) change(old, sp *spec, now instant) {
	wall := c.advance(old, now.wall)
	if old.per == sp.per && old.slack == sp.slack {
		return
	}
	if old.per != sp.per {
		opened := c.window*old.per + old.slack
		c.born = max(c.born, now.at-(wall-opened)) // what was taken before is not in count
		c.window = sp.windowOf(wall)
		if c.closed >= c.window*sp.per-sp.slack { // how much that was is no longer known
			c.count += sp.capacity
		}
	}
	c.tail = 0
	if c.near(sp, wall) {
		c.tail = c.count
	}
	c.latest = wall
}
