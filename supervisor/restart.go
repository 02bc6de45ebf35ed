package supervisor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Restart says which endings of a child are followed by a new start, in OTP's words.
type Restart uint8

const (
	// Permanent children are always started again, whether they failed or stopped by themselves.
	Permanent Restart = iota
	// Transient children are started again when they failed; stopping by themselves is their normal end.
	Transient
	// Temporary children are never started again; the next use of the key makes a new one from nothing.
	Temporary
)

func (r Restart) String() string {
	switch r {
	case Permanent:
		return "permanent"
	case Transient:
		return "transient"
	case Temporary:
		return "temporary"
	}
	return fmt.Sprintf("Restart(%d)", uint8(r))
}

// Intensity bounds how often something may fail: more than Failures within Period, and it is given up.
type Intensity struct {
	Failures int           // default 5 if Period is not set either; otherwise 0 allows none
	Period   time.Duration // default 10 s
}

// Backoff spaces the restarts of a child that keeps failing. The first restart is immediate; the nth after it waits
// Min × 2ⁿ⁻¹, at most Max, less a random part of up to half so that children that fail together do not return together.
type Backoff struct {
	Min time.Duration // default 10 ms, or Max if that is less
	Max time.Duration // default 5 s, or Min if that is more
}

func (i Intensity) withDefaults() Intensity {
	if i == (Intensity{}) {
		i.Failures = 5
	}
	if i.Period == 0 {
		i.Period = 10 * time.Second
	}
	return i
}

func (i Intensity) validate(field string) error {
	var errs []error
	if i.Failures < 0 {
		errs = append(errs, fmt.Errorf("%s.Failures is %d; it takes 0 or more", field, i.Failures))
	}
	if i.Period <= 0 {
		errs = append(errs, fmt.Errorf("%s.Period is %v; it takes a positive duration", field, i.Period))
	}
	return errors.Join(errs...)
}

func (b Backoff) withDefaults() Backoff {
	if b.Min == 0 && b.Max >= 0 {
		b.Min = 10 * time.Millisecond
		if b.Max > 0 {
			b.Min = min(b.Min, b.Max)
		}
	}
	if b.Max == 0 {
		b.Max = max(5*time.Second, b.Min)
	}
	return b
}

func (b Backoff) validate() error {
	if b.Min <= 0 || b.Max < b.Min {
		return fmt.Errorf("Backoff is %v to %v; it takes 0 < Min ≤ Max", b.Min, b.Max)
	}
	return nil
}

// delay is how long to wait before the restart that follows the nth failure within the period.
func (b Backoff) delay(failure int) time.Duration {
	if failure <= 1 {
		return 0
	}
	d := b.Max
	if shift := failure - 2; shift < 63 && b.Min <= b.Max>>shift { // compared so, because Min<<shift may overflow
		d = b.Min << shift
	}
	return d - rand.N(d/2+1)
}

// record is the failures of one child or family that still count.
type record struct{ failures []time.Time }

// fail notes a failure at now and returns how many there were within the period, and whether that is still allowed.
func (r *record) fail(now time.Time, i Intensity) (count int, allowed bool) {
	r.forget(now, i)
	r.failures = append(r.failures, now)
	return len(r.failures), len(r.failures) <= i.Failures
}

// forget drops what lies further back than the period and reports whether nothing is left.
func (r *record) forget(now time.Time, i Intensity) (empty bool) {
	old := 0
	for old < len(r.failures) && now.Sub(r.failures[old]) >= i.Period {
		old++
	}
	r.failures = r.failures[old:]
	return len(r.failures) == 0
}
