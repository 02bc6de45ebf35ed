package bucket

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
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
	// Clustered buckets have one owner among the nodes of a cluster, which all have a family of this name and with these limits: see the
	// package documentation. The system must be a node: see cluster.Join. Not together with Shadow. Default false
	Clustered bool
	// Transit is how long after the owner granted it a turn may still be used, at whichever node, 1 ms to 1 s. It counts as Slack does and
	// adds to it, so both together must be below half of the shortest limit's Per; grants that are longer under way are given back and asked
	// for again. The same on all nodes. Clustered only. Default 40 ms
	Transit time.Duration
	// Away says what becomes of requests whose bucket has no owner that can be reached: they wait, or are refused with an error that is a
	// cluster.ErrAway. Clustered only. Default cluster.Wait
	Away cluster.Policy
	// LocalShare is how much of each limit a node lets go by itself while the owner is away for longer than a second, 0 to 1. The limits hold
	// only if the shares of all nodes that are cut off add up to 1 or less, and nobody else serves the ID. It knows no Headroom, and what
	// such a turn cost is not corrected by Settle. Clustered only, and not with Away set to Refuse. Default 0: none
	LocalShare float64
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
	if c.Clustered && c.Transit == 0 {
		c.Transit = 40 * time.Millisecond
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
	c.validateCluster(check)
	errs = append(errs, c.Headroom.validate())
	return errors.Join(errs...)
}

// validateCluster judges what is for several nodes.
func (c Config) validateCluster(check func(ok bool, format string, args ...any)) {
	if !c.Clustered {
		check(c.Transit == 0, "Transit is %v and Clustered is false; it goes with clustered buckets only", c.Transit)
		check(c.Away == cluster.Wait, "Away is set and Clustered is false; it goes with clustered buckets only")
		check(c.LocalShare == 0, "LocalShare is %v and Clustered is false; it goes with clustered buckets only", c.LocalShare)
		return
	}
	check(!c.Shadow, "Shadow is true, and so is Clustered; it takes one of them, for what only looks lets everybody go at once, and another node takes time to ask")
	check(c.Transit >= time.Millisecond && c.Transit <= time.Second, "Transit is %v; it takes 1ms to 1s, or 0 for 40ms", c.Transit)
	check(c.Away <= cluster.Refuse, "Away is %d; it takes cluster.Wait or cluster.Refuse", c.Away)
	check(c.LocalShare >= 0 && c.LocalShare <= 1, "LocalShare is %v; it takes 0 (none) to 1", c.LocalShare)
	check(c.LocalShare == 0 || c.Away != cluster.Refuse, "LocalShare is %v and Away is Refuse, which lets nothing go; it takes one of them", c.LocalShare)
}

// maxAging keeps the rank of a request, its arrival in nanoseconds plus 39 times Aging, far from overflowing.
const maxAging = 366 * 24 * time.Hour

// compile turns the configuration into the rules of a family's first version.
func (c Config) compile() (*rules, error) {
	plan, planErr := limit.NewPlan(c.Limits, c.Slack+max(c.Transit, 0))
	if planErr != nil && c.Clustered {
		planErr = fmt.Errorf("%w (slack is Slack + Transit, %v + %v)", planErr, c.Slack, c.Transit)
	}
	if err := errors.Join(c.validate(), planErr); err != nil {
		return nil, fmt.Errorf("%w bucket configuration: %w", penstock.ErrInvalid, err)
	}
	r := newRules(c, plan)
	if err := r.setAlone(c.LocalShare); err != nil {
		return nil, fmt.Errorf("%w bucket configuration: %w", penstock.ErrInvalid, err)
	}
	return r, nil
}
