package bucket

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// Config says what a family's buckets allow and how they are kept. Only Limits is required.
type Config struct {
	// Limits that every bucket of the family keeps, all of them at once; 1 to limit.MaxLimits.
	Limits []limit.Limit
	// Headroom keeps a part of the limits for more urgent requests. Default: none is kept, see [Tornex].
	Headroom Headroom
	// MaxWaiting is how many requests may wait at one bucket, of all flows together; one more is refused at once.
	// Default 10,000
	MaxWaiting int
	// MaxBuckets is how many buckets may live at once. Default 1,000,000
	MaxBuckets int
	// Aging makes a waiting request one niceness more urgent each time it has waited this long, so that nobody starves.
	// It gives every request a rank of its own, and flows share only among equals: so a family with Aging takes no
	// Weights, and no Request with a Flow. Default 0: never
	Aging time.Duration
	// Weights are the shares of flows inside a niceness, by Request.Flow; 1 to 1,000,000. Not together with Aging.
	// Default: 1 for each flow
	Weights map[string]int
	// Idle is how long a bucket must go unused to be put away. It stays while its windows still hold anything, so that
	// putting it away never refills a limit. Default 10 minutes
	Idle time.Duration
	// Slack is the distance kept from every limit because the way to the upstream jitters, see package limit. It must be
	// below half of the shortest limit's Per. Default 0
	Slack time.Duration
	// Shadow decides, counts and reports, but lets every valid request pass at once, also those for which the family has
	// no room: to see what limits would do. Default false
	Shadow bool
	// Clustered buckets have one owner among several nodes. This version has no cluster, so true is refused.
	// Default false
	Clustered bool
}

func (c Config) withDefaults() Config {
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 10_000
	}
	if c.MaxBuckets == 0 {
		c.MaxBuckets = 1_000_000
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Minute
	}
	return c
}

// validate names every bad field and the values it takes. Limits and Slack are the plan's to judge.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.MaxWaiting > 0, "MaxWaiting is %d; it takes a positive number, or 0 for 10,000", c.MaxWaiting)
	check(c.MaxBuckets > 0, "MaxBuckets is %d; it takes a positive number, or 0 for 1,000,000", c.MaxBuckets)
	check(c.Aging == 0 || c.Aging >= time.Millisecond && c.Aging <= maxAging,
		"Aging is %v; it takes 0 (never) or 1ms to %v", c.Aging, maxAging)
	c.validateWeights(check)
	check(c.Idle > 0, "Idle is %v; it takes a positive duration, or 0 for 10m", c.Idle)
	check(!c.Clustered, "Clustered is true; it takes false, for the system has joined no cluster")
	errs = append(errs, c.Headroom.validate())
	return errors.Join(errs...)
}

// maxAging keeps the rank of a request, its arrival in nanoseconds plus 39 times Aging, far from overflowing.
const maxAging = 366 * 24 * time.Hour

// compile turns the configuration into the rules of a family's first version.
func (c Config) compile() (*rules, error) {
	plan, planErr := limit.NewPlan(c.Limits, c.Slack)
	if err := errors.Join(c.validate(), planErr); err != nil {
		return nil, fmt.Errorf("%w bucket configuration: %w", penstock.ErrInvalid, err)
	}
	return newRules(c, plan), nil
}
