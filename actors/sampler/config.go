package sampler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

// Config says what a sampler measures and what it makes of it. Only Source is required.
type Config struct {
	// Source is what is measured. A source belongs to one sampler, which closes it at its end if it is an io.Closer.
	Source Source
	// Interval is the time from one sample to the next; at least 10 ms. The first is taken one interval after [Add], because
	// most sources tell what happened since the last time. Default 1 s
	Interval time.Duration
	// Thresholds divide the values into levels: at Thresholds[i] and above the level is at least i+1. They rise.
	// Default: the source's own, if it has any; without them there is nothing to compare with, and that is an error
	Thresholds []float64
	// Hysteresis keeps a value near a threshold from changing the level all the time: a level is left downwards only when
	// the value is further below the level's threshold than this share of the threshold. It takes 0 < h < 1, or [NoHysteresis].
	// Default 0.05
	Hysteresis float64
	// History is how many samples are kept, and given to Calc. Default 10
	History int
	// Calc makes of the samples, the newest last, the value that is compared. It is called where Sample is, after it, and
	// may keep what it is given. Default: the newest sample's value
	Calc func(history []Sample) float64
	// Missing is after how many missed samples in a row the level becomes 0. A sample is missed when the source or Calc fails,
	// panics or gives no number, and when the source is still at work on the last one. Default 3
	Missing int
	// Clustered has the other nodes of the cluster hear of the level, as one of [Level].Remote, and this node of theirs: of the samplers that
	// are Clustered there. The system must be a node: see cluster.Join. Default false
	Clustered bool
}

// NoHysteresis is a [Config.Hysteresis] of none: a level is left as soon as the value is below its threshold.
const NoHysteresis = -1

// Bounds that keep a mistake from costing memory or a processor.
const (
	minInterval   = 10 * time.Millisecond
	maxHistory    = 100_000
	maxThresholds = 1000
	maxName       = 64 // bytes
	maxSamplers   = 1000
)

// withDefaults fills in what is not set; thresholds are those that the source has.
func (c Config) withDefaults(thresholds []float64) Config {
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if len(c.Thresholds) == 0 {
		c.Thresholds = thresholds
	}
	c.Thresholds = slices.Clone(c.Thresholds)
	switch c.Hysteresis {
	case 0:
		c.Hysteresis = 0.05
	case NoHysteresis:
		c.Hysteresis = 0
	}
	if c.History == 0 {
		c.History = 10
	}
	if c.Calc == nil {
		c.Calc = newest
	}
	if c.Missing == 0 {
		c.Missing = 3
	}
	return c
}

func newest(history []Sample) float64 { return history[len(history)-1].Value }

// validate names every bad field of a configuration with defaults, and the values it takes.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Source != nil, "Source is nil; it takes what is to be measured, such as CPU()")
	check(c.Interval >= minInterval, "Interval is %v; it takes %v or more, or 0 for 1s", c.Interval, minInterval)
	check(c.Source == nil || len(c.Thresholds) > 0, "Thresholds is empty; it takes at least one, since the source has none of its own")
	check(len(c.Thresholds) <= maxThresholds && rising(c.Thresholds),
		"Thresholds is %v; it takes up to %d finite numbers, each larger than the one before", c.Thresholds, maxThresholds)
	check(c.Hysteresis >= 0 && c.Hysteresis < 1, "Hysteresis is %v; it takes a share between 0 and 1, 0 for 0.05, or NoHysteresis", c.Hysteresis)
	check(c.History >= 1 && c.History <= maxHistory, "History is %d; it takes 1 to %d, or 0 for 10", c.History, maxHistory)
	check(c.Missing >= 1, "Missing is %d; it takes a positive number, or 0 for 3", c.Missing)
	return errors.Join(errs...)
}

func rising(list []float64) bool {
	for i, x := range list {
		if math.IsNaN(x) || math.IsInf(x, 0) || i > 0 && x <= list[i-1] {
			return false
		}
	}
	return true
}

// checkName judges a name: of a sampler, or of a node.
func checkName(what, name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("%s is %q; it takes 1 to %d bytes of UTF-8", what, name, maxName)
	}
	return nil
}

// compile gives the configuration of a new sampler, or says everything that is wrong with it.
func (c Config) compile(name string) (Config, error) {
	thresholds, err := ownThresholds(c.Source)
	if err != nil {
		return c, fmt.Errorf("sampler %q: Thresholds of its source: %w", name, err)
	}
	c = c.withDefaults(thresholds)
	if err := errors.Join(checkName("the name", name), c.validate()); err != nil {
		return c, fmt.Errorf("%w configuration of sampler %q: %w", penstock.ErrInvalid, name, err)
	}
	return c, nil
}
