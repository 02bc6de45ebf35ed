package limit

import (
	"fmt"
	"math"
	"time"
)

// Rate is an even rate, for a queue that lets one go each 1/rate of a second,
// rounded up to the nanosecond. What nobody wanted is not saved up. What
// somebody waited for and got late, because a timer or a busy machine was late,
// is caught up on: up to a tenth of a second of it, or one event if that is more.
//
// No half-open window of a second, wherever it starts, holds more than the
// rate. For a rate that is not a whole number this is said of the time that N
// events take, where N is the rate rounded down, but at least 1: 2.5 a second
// are at most 2 in any 0.8 s, and 0.5 a second at most 1 in any 2 s.
//
// Catching up stays within that bound: what goes late pushes back what may go a
// second later. So a caller that is up to d seconds late each time gets at
// least rate / (1 + d), as from any limit that is exact, and not the half or less
// that is left when each event is spaced from the one before.
//
// The bound is exact up to 1,024 a second. Beyond, neighbours within a
// thousandth of a second count from the latest of them, which exceeds nothing
// and delivers 99.9 %.
//
// A now before one it was told already is taken as that one: a clock set back
// refills nothing. Not safe for concurrent use.
type Rate struct {
	epoch     time.Time // all times below are nanoseconds since
	perSecond float64
	interval  int64 // between two events; while the rate is 0, as it was before
	credit    int64 // how far due may lie behind now
	due       int64 // when the next event is, if it is wanted by then
	broken    int64 // when due was last brought forward: what was taken before has no part in it
	eased     int64 // when due last gave in to the window
	latest    int64 // latest now
	stopped   int64 // when the rate became 0: due stands still from then on
	recent    recent
}

// Bounds of a rate, and how much lateness is caught up on.
const (
	minRate     = 0.001
	maxRate     = 1_000_000
	maxLateness = int64(time.Second / 10)
	easing      = 400 // the schedule may be slower by 1/400 to become even again
)

// NewRate returns a rate of which nothing is taken: 0, with which nothing
// passes, or 0.001 to 1,000,000 a second. Anything else is an error.
func NewRate(perSecond float64) (*Rate, error) {
	if err := validateRate(perSecond); err != nil {
		return nil, err
	}
	r := &Rate{epoch: time.Now(), interval: 1, due: past, broken: past, eased: past, latest: past, stopped: -horizon}
	r.recent.forgot, r.recent.span = past, int64(time.Second)
	r.adopt(perSecond)
	return r, nil
}

func validateRate(perSecond float64) error {
	if perSecond == 0 || perSecond >= minRate && perSecond <= maxRate {
		return nil
	}
	return fmt.Errorf("rate: %v a second, want 0 or %v to %d", perSecond, minRate, maxRate)
}

// adopt computes what follows from the rate.
func (r *Rate) adopt(perSecond float64) {
	r.perSecond = perSecond
	if perSecond == 0 {
		return
	}
	// 0.29 × 100 is 28.999999999999996 in floating point, and 29 to whoever
	// wrote it.
	n := max(math.Floor(perSecond*(1+1e-12)), 1)
	length := float64(time.Second) / perSecond
	r.interval = int64(math.Ceil(length - 1e-3))
	r.credit = max(maxLateness, r.interval)
	r.recent.bound(int64(n), int64(math.Ceil(n*length-1e-3)))
}

// PerSecond returns the rate.
func (r *Rate) PerSecond() float64 { return r.perSecond }

// Wait returns how long until n may pass, if nothing else is taken: 0 if now,
// [Never] if the rate is 0. More than a second holds may pass when the last
// second is empty, and is a debt afterwards.
func (r *Rate) Wait(now time.Time, n int) time.Duration {
	if n <= 0 {
		return 0
	}
	if r.perSecond == 0 {
		return Never
	}
	at := r.offset(now)
	t := r.advance(at)
	ready := max(r.due, r.recent.ready(min(int64(n), math.MaxInt32)))
	if ready <= t {
		return 0
	}
	return time.Duration(ready - at)
}

// Take counts n at now, whether they fit or not. Wanted is since when somebody
// has been waiting for them without a break; now if nobody waited.
func (r *Rate) Take(now, wanted time.Time, n int) {
	if n <= 0 {
		return
	}
	cost := min(int64(n), math.MaxInt32)
	at := r.advance(r.offset(now))
	due := max(min(r.offset(wanted), at), at-r.credit)
	if r.perSecond == 0 {
		due = r.stopped
	}
	if due > r.due {
		r.broken = at
	} else {
		due = r.due
	}
	// What was late once cannot but be late again a second later, and a second
	// after that: one pause would make for a burst each second, for ever. So
	// the schedule gives in to that, but slowly, for it loses events.
	if opened := r.recent.opened(cost); opened > due {
		if since := at - r.eased; since < 2*r.recent.span {
			due += min(opened-due, since/easing)
		}
		r.eased = at
	}
	r.due = owe(due, scale(cost, r.interval, 1))
	r.recent.add(at, cost)
}

// Give undoes a Take of n made at `at`, as far as it still counts: in the last
// second, and, unless the rate has been idle since, for when the next is due.
func (r *Rate) Give(now, at time.Time, n int) {
	if n <= 0 {
		return
	}
	r.advance(r.offset(now))
	cost, then := min(int64(n), math.MaxInt32), r.offset(at)
	r.recent.give(then, cost)
	if then >= r.broken {
		r.due = max(r.due-scale(cost, r.interval, 1), past)
	}
}

// Set changes the rate at once, to 0 or 0.001 to 1,000,000 a second; anything
// else is an error and changes nothing.
//
// It is no refill. What passed before counts on: nothing passes that would make
// the last second hold more than the new rate, so after the rate was lowered it
// may be a second until something does. Events that are late, or taken ahead of
// their time, stay as many and are reckoned at the new rate; while the rate is
// 0, nothing gets late.
//
// After a change to a rate whose window is longer, as from 10 a second to one
// in 10 seconds, not all is known that passed in that time: nothing passes
// until what has been forgotten has left the window.
func (r *Rate) Set(now time.Time, perSecond float64) error {
	if err := validateRate(perSecond); err != nil {
		return err
	}
	at := r.advance(r.offset(now))
	if perSecond == r.perSecond {
		return nil
	}
	owed := r.due - at
	if r.perSecond == 0 {
		owed = r.due - r.stopped
	}
	r.stopped = at
	old := r.interval
	r.adopt(perSecond)
	if owed < 0 {
		r.due = max(at-scale(-owed, r.interval, old), past)
	} else {
		r.due = owe(at, scale(owed, r.interval, old))
	}
	return nil
}

// offset is the nanoseconds since the epoch, as of a Plan.
func (r *Rate) offset(now time.Time) int64 {
	return min(max(int64(now.Sub(r.epoch)), -horizon), horizon)
}

// advance forgets what has left the window, and returns now or the latest.
func (r *Rate) advance(at int64) int64 {
	r.latest = max(r.latest, at)
	r.recent.forget(r.latest)
	return r.latest
}
