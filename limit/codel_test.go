package limit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	tolerable = 20 * time.Millisecond  // target
	burst     = 200 * time.Millisecond // interval
)

func TestCoDelTurnsExactlyAtTheBoundaries(t *testing.T) {
	ms := func(n int) time.Time { return at(time.Duration(n) * time.Millisecond) }
	c := NewCoDel(tolerable, burst)
	assert.False(t, c.Overloaded(ms(0)))
	assert.Equal(t, Never, c.Until(ms(0)))

	c.Update(ms(0), 0, false)
	assert.Equal(t, 220*time.Millisecond, c.Until(ms(0)))
	assert.False(t, c.Overloaded(ms(220).Add(-1)), "not told anything else, it knows that the oldest goes on waiting")
	assert.True(t, c.Overloaded(ms(220)))
	assert.Zero(t, c.Until(ms(250)))

	c.Update(ms(260), 21*time.Millisecond, false)
	assert.True(t, c.Overloaded(ms(260)), "the next one has waited too long as well")
	c.Update(ms(261), 20*time.Millisecond, false)
	assert.False(t, c.Overloaded(ms(261)), "no longer than target")
	assert.False(t, c.Overloaded(ms(461).Add(-1)))
	assert.True(t, c.Overloaded(ms(461)))

	c.Update(ms(462), time.Hour, true)
	assert.False(t, c.Overloaded(ms(1000)), "empty")
	c.Update(ms(1000), time.Minute, false)
	assert.True(t, c.Overloaded(ms(1000)), "has been waiting all the time")
	c.Update(ms(1001), 0, false)
	c.Update(ms(1002), 120*time.Millisecond, false)
	assert.Equal(t, 100*time.Millisecond, c.Until(ms(1002)), "somebody older came back")
}

func TestCoDelStreakIsTheLines(t *testing.T) {
	ms := func(n int) time.Time { return at(time.Duration(n) * time.Millisecond) }
	c := NewCoDel(tolerable, burst)
	// Each has waited 30 ms when it goes, none of them for an interval.
	for now := 0; now < 239; now += 3 {
		c.Update(ms(now), min(time.Duration(now), 30)*time.Millisecond, false)
		require.Equal(t, now >= 220, c.Overloaded(ms(now)), now)
	}
	c.Update(ms(240), 19*time.Millisecond, false)
	for now := 241; now < 241+200; now += 3 {
		c.Update(ms(now), 21*time.Millisecond, false)
		require.False(t, c.Overloaded(ms(now)), "there was a break")
	}
	assert.True(t, c.Overloaded(ms(441)))
}

func TestCoDelPatience(t *testing.T) {
	c := NewCoDel(0, 0)
	c.Update(at(0), 0, false)
	healthy, overloaded := at(105*time.Millisecond-1), at(105*time.Millisecond)
	assert.Equal(t, time.Minute, c.Patience(healthy, time.Minute))
	assert.Zero(t, c.Patience(healthy, 0), "no bound")
	assert.Zero(t, c.Patience(healthy, -1))
	assert.Equal(t, 100*time.Millisecond, c.Patience(overloaded, time.Minute))
	assert.Equal(t, 100*time.Millisecond, c.Patience(overloaded, 0))
	assert.Equal(t, time.Millisecond, c.Patience(overloaded, time.Millisecond), "never longer than maxWait")

	c = NewCoDel(time.Second, time.Millisecond)
	c.Update(at(0), 0, false)
	assert.Equal(t, 2*time.Second, c.Until(at(0)), "an interval below target counts as target")
}

// request waits in a line of one server, which takes 10 ms each.
type request struct {
	Slot
	came time.Duration
}

// lineUp has requests come, each `apart` from the one before as that says, and
// returns how long each one that was served had waited, by when it was, and how long the line was overloaded.
func lineUp(until time.Duration, apart func(now time.Duration) time.Duration, codel *CoDel) (in, late []time.Duration, last time.Duration) {
	var q Fair[*request]
	var seq uint64
	var free, next time.Duration
	update := func(now time.Duration) {
		if codel == nil {
			return
		}
		oldest, some := q.Oldest()
		wait := time.Duration(0)
		if some {
			wait = now - oldest.came
		}
		codel.Update(at(now), wait, !some)
		if codel.Overloaded(at(now)) {
			last = now
		}
		q.NewestFirst(codel.Overloaded(at(now)))
	}
	for now := time.Duration(0); now < until; now += time.Millisecond {
		for ; next <= now; next += apart(now) {
			seq++
			q.Push(&request{came: now}, Position{Seq: seq})
			update(now)
		}
		if codel != nil {
			for {
				oldest, some := q.Oldest()
				patience := codel.Patience(at(now), 0)
				if !some || patience == 0 || now-oldest.came <= patience {
					break
				}
				q.Remove(oldest)
				update(now)
			}
		}
		if free > now {
			continue
		}
		if x, ok := q.Pop(); ok {
			update(now)
			free = now + 10*time.Millisecond
			if wait := now - x.came; wait <= tolerable {
				in = append(in, now)
			} else {
				late = append(late, now)
			}
		}
	}
	return in, late, last
}

func between(times []time.Duration, from, to time.Duration) (n int) {
	for _, t := range times {
		if t >= from && t < to {
			n++
		}
	}
	return n
}

// Ten seconds in which twice as many come as can be served, then half as many.
func TestQ9_CoDelServesInTimeUnderOverload(t *testing.T) {
	load := func(now time.Duration) time.Duration {
		if now < 10*time.Second {
			return 5 * time.Millisecond
		}
		return 20 * time.Millisecond
	}
	in, late, last := lineUp(20*time.Second, load, NewCoDel(tolerable, burst))
	assert.GreaterOrEqual(t, between(in, 2*time.Second, 10*time.Second), 8*100*95/100, "of 100 a second, 95 are in time")
	assert.Less(t, last, 10*time.Second+2*burst, "healthy as soon as the load is gone")
	assert.Zero(t, between(late, 11*time.Second, 20*time.Second))
	assert.Equal(t, 9*50, between(in, 11*time.Second, 20*time.Second), "and all are served")

	in, late, _ = lineUp(20*time.Second, load, nil)
	assert.Zero(t, between(in, 2*time.Second, 10*time.Second), "without, nobody is in time while the load lasts")
	assert.Equal(t, 9*100, between(late, 11*time.Second, 20*time.Second), "nor long after")
}

// A burst that is served within an interval changes nothing.
func TestQ9_CoDelLetsABurstPass(t *testing.T) {
	come := 0
	in, late, last := lineUp(3*time.Second, func(time.Duration) time.Duration {
		if come++; come%15 == 0 {
			return 500 * time.Millisecond
		}
		return 0
	}, NewCoDel(tolerable, burst))
	assert.Zero(t, last)
	assert.Equal(t, 6*15, len(in)+len(late))
}
