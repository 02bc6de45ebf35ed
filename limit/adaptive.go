package limit

import (
	"errors"
	"fmt"
	"time"
)

// AdaptiveConfig says how an [Adaptive] looks for its limit. The zero config
// has all defaults.
type AdaptiveConfig struct {
	// Min is the lowest limit, 1 to 1,000,000. Default: 1.
	Min int
	// Max is the highest limit, Min to 1,000,000. Default: 1,000, or Min if that
	// is more.
	Max int
	// Initial is the limit to begin with, Min to Max. Default: 10, or the nearest
	// that Min and Max allow.
	Initial int
	// Tolerance is how many times as long as without any queueing a job may
	// take, 1.1 to 10. More finds room for more at once, and makes them slower.
	// Default: 1.5.
	Tolerance float64
	// Smoothing is how far one decision goes towards the limit that the latest
	// jobs ask for, above 0 to 1. Default: 0.5.
	Smoothing float64
	// Window is the shortest time between two decisions, 1 ms to 1 min. Default:
	// 100 ms.
	Window time.Duration
}

// The bounds and defaults of an AdaptiveConfig.
const (
	maxConcurrency   = 1_000_000
	defaultMax       = 1000
	defaultInitial   = 10
	minTolerance     = 1.1
	maxTolerance     = 10
	defaultTolerance = 1.5
	defaultSmoothing = 0.5
	minWindow        = time.Millisecond
	maxWindow        = time.Minute
	defaultWindow    = 100 * time.Millisecond
	maxTook          = 366 * 24 * time.Hour // a job counts as at most; ten times as much is no overflow
)

func (c *AdaptiveConfig) setDefaults() {
	if c.Min == 0 {
		c.Min = 1
	}
	if c.Max == 0 {
		c.Max = max(defaultMax, c.Min)
	}
	if c.Initial == 0 {
		c.Initial = min(max(defaultInitial, c.Min), c.Max)
	}
	if c.Tolerance == 0 {
		c.Tolerance = defaultTolerance
	}
	if c.Smoothing == 0 {
		c.Smoothing = defaultSmoothing
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
}

// validate returns one error naming each bad field and the values it takes.
func (c *AdaptiveConfig) validate() error {
	errs := []error{validateBounds(c.Min, c.Max)}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Initial < c.Min || c.Initial > c.Max {
		bad("Initial: %d, want Min to Max, %d to %d", c.Initial, c.Min, c.Max)
	}
	if !(c.Tolerance >= minTolerance && c.Tolerance <= maxTolerance) {
		bad("Tolerance: %v, want %v to %v", c.Tolerance, minTolerance, maxTolerance)
	}
	if !(c.Smoothing > 0 && c.Smoothing <= 1) {
		bad("Smoothing: %v, want above 0 to 1", c.Smoothing)
	}
	if c.Window < minWindow || c.Window > maxWindow {
		bad("Window: %v, want %v to %v", c.Window, minWindow, shortDuration(maxWindow))
	}
	return errors.Join(errs...)
}

func validateBounds(least, most int) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if least < 1 || least > maxConcurrency {
		bad("Min: %d, want 1 to %d", least, maxConcurrency)
	}
	if most < least || most > maxConcurrency {
		bad("Max: %d, want Min to %d", most, maxConcurrency)
	}
	return errors.Join(errs...)
}

// Adaptive is a concurrency limit that finds itself: as many at once as a
// service takes before its jobs mostly wait for each other. It is of the
// gradient family (Netflix concurrency-limits): it compares how long jobs take
// with how long they take when few run, and lets the limit shrink or grow by
// the ratio, until they take Tolerance times as long. Where c jobs can run at
// once without slowing each other down, it comes to about Tolerance × c.
//
// It decides by windows, on the mean of at least 100 jobs, so that no single
// one moves it. The limit grows only while it is used. How long jobs take when
// few run changes, as services do: each 20th window or so runs with a lower
// limit (half, by default) to measure it anew, and so does the next one when
// jobs have become faster than that, or when a shrinking limit does not help.
// So the limit neither creeps up under load that lasts nor stays down in, or
// after, a slow time.
//
// Whatever else happens, the limit is Min to Max. Sample and Limit take constant
// time and allocate nothing. Not safe for concurrent use.
type Adaptive struct {
	cfg   AdaptiveConfig
	limit float64       // between probes
	floor time.Duration // how long jobs take when few run; 0: not known yet
	probe probe
	batch batch
}

// NewAdaptive returns an Adaptive. A bad config is one error naming every bad
// field and the values it takes.
func NewAdaptive(cfg AdaptiveConfig) (*Adaptive, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("adaptive limit: %w", err)
	}
	a := &Adaptive{cfg: cfg, limit: float64(cfg.Initial)}
	a.batch.skip = cfg.Initial // the first to finish are the shortest
	return a, nil
}

// Limit returns how many may run at once now, Min to Max.
func (a *Adaptive) Limit() int {
	limit := a.limit
	if a.probe.limit > 0 {
		limit = a.probe.limit
	}
	return min(max(int(limit+0.5), a.cfg.Min), a.cfg.Max)
}

// Unloaded returns how long jobs are believed to take when few of them run; 0
// until that has been measured.
func (a *Adaptive) Unloaded() time.Duration { return a.floor }

// Restrict changes Min and Max, and moves the limit between them. Bad bounds
// are an error as in [NewAdaptive], and change nothing.
func (a *Adaptive) Restrict(least, most int) error {
	if err := validateBounds(least, most); err != nil {
		return fmt.Errorf("adaptive limit: %w", err)
	}
	a.cfg.Min, a.cfg.Max = least, most
	a.limit = a.bounded(a.limit)
	return nil
}

func (a *Adaptive) bounded(limit float64) float64 {
	return min(max(limit, float64(a.cfg.Min)), float64(a.cfg.Max))
}

// Sample tells of one job that has finished: when, how long it ran, how many
// ran at its start including itself, and whether it failed for want of
// capacity, as when it timed out or was shed. Failed ones count as overload, and
// not towards how long jobs take.
func (a *Adaptive) Sample(now time.Time, took time.Duration, inFlight int, failed bool) {
	took, inFlight = min(max(took, 1), maxTook), min(inFlight, maxConcurrency)
	if a.floor > 0 {
		took = min(took, a.floor*outlier)
	}
	if !a.batch.add(now, took, inFlight, failed) || now.Sub(a.batch.began) < a.cfg.Window {
		return
	}
	done := a.batch
	a.decide(&done)
	a.batch = batch{skip: a.settling(done.peak)}
}
