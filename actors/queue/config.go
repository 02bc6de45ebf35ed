package queue

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

// Config says what a queue lets through and how it keeps those who wait. The zero Config lets everything through.
type Config struct {
	// Regulators that a request must find room in, all of them at once; at most 16. Default: none
	Regulators []Regulator
	// Order is which of the waiting requests goes first inside a niceness and a flow. Default FIFO
	Order Order
	// Target is how long a request may wait in a healthy queue; Adaptive only. Default 5ms
	Target time.Duration
	// TargetInterval is how long the queue must have been above Target to be overloaded, and how long a request may wait
	// in an overloaded one; Adaptive only. Default 100ms
	TargetInterval time.Duration
	// Weights are the shares of flows inside a niceness, by Request.Flow. Default: 1 for each flow
	Weights map[string]int
	// MaxTime is how long a request may wait; then it is refused. Default 0: as long as its context lets it
	MaxTime time.Duration
	// MaxSize is how many requests may wait; one more is refused at once. [NoWaiting]: none. Default 10,000
	MaxSize int
	// Action answers every request the same. Default Regulate: the regulators decide
	Action Action
	// CheckInterval is the least time between two rounds in which those who wait are let go, several at a time if need be.
	// Nobody passes between rounds. Default 0: each goes when its turn has come
	CheckInterval time.Duration
	// Producer makes the queue generate jobs, as fast as its regulators let them go; such a queue takes no requests.
	// Default nil
	Producer Producer
	// Stateful is state that the queue keeps, and that each job is told something of; see [NewStateful]. Default nil
	Stateful Stateful
	// Behavior makes the line in which requests wait, in place of the one that Order, Target, TargetInterval and Weights
	// describe. Default nil
	Behavior func() Behavior[Ticket]
	// Default makes this the queue that [Select] falls back to. Default false
	Default bool
}

// NoWaiting as Config.MaxSize lets nobody wait: who cannot go at once is refused.
const NoWaiting = -1

// Action is what a queue does with every request.
type Action uint8

const (
	Regulate Action = iota // the regulators decide
	Approve                // each goes at once, whatever the regulators say
	Reject                 // each is refused at once
)

// String returns "regulate", "approve" or "reject".
func (a Action) String() string {
	switch a {
	case Regulate:
		return "regulate"
	case Approve:
		return "approve"
	case Reject:
		return "reject"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Request says what is asked for. The zero Request has niceness 0, no flow, and counts as one job.
type Request struct {
	// Nice is the urgency as Unix has it, -20 (most urgent) to 19. Default 0
	Nice int
	// Flow names whose request it is. Flows share by weight inside a niceness. At most 512 bytes of UTF-8. Default "",
	// which is a flow too
	Flow string
	// Cost is how many jobs it counts as: for rates, for the increments of counters, and for the share of its flow. 1 to
	// 1,000,000. Default 1
	Cost int
}

// Niceness as Unix has it: the lower, the more urgent.
const (
	MinNice = -20 // the most urgent
	MaxNice = 19  // the least
)

const (
	maxRegulators = 16
	maxName       = 512 // bytes
	maxCost       = 1_000_000
	maxSize       = math.MaxInt32
	maxWait       = 366 * 24 * time.Hour
	maxWeight     = 1_000_000
)

func (c Config) withDefaults() Config {
	switch c.MaxSize {
	case 0:
		c.MaxSize = 10_000
	case NoWaiting:
		c.MaxSize = 0
	}
	if c.Order == Adaptive && c.Behavior == nil {
		if c.Target == 0 {
			c.Target = 5 * time.Millisecond
		}
		if c.TargetInterval == 0 {
			c.TargetInterval = max(100*time.Millisecond, c.Target)
		}
	}
	return c
}

// validate names every bad field and the values it takes. c has not got its defaults yet.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Order <= Adaptive, "Order is %d; it takes FIFO, LIFO or Adaptive", c.Order)
	check(c.Action <= Reject, "Action is %d; it takes Regulate, Approve or Reject", c.Action)
	check(c.MaxSize >= NoWaiting && c.MaxSize <= maxSize, "MaxSize is %d; it takes 1 to %d, 0 for 10,000, or NoWaiting", c.MaxSize, maxSize)
	check(c.MaxTime >= 0 && c.MaxTime <= maxWait, "MaxTime is %v; it takes 0 (no bound) to %v", c.MaxTime, maxWait)
	check(c.CheckInterval == 0 || c.CheckInterval >= time.Millisecond && c.CheckInterval <= time.Hour,
		"CheckInterval is %v; it takes 0 (none) or 1ms to 1h", c.CheckInterval)
	if c.Order == Adaptive && c.Behavior == nil {
		check(c.Target >= 0 && c.Target <= time.Hour, "Target is %v; it takes a positive duration up to 1h, or 0 for 5ms", c.Target)
		check(c.TargetInterval == 0 || c.TargetInterval >= c.Target && c.TargetInterval <= time.Hour,
			"TargetInterval is %v; it takes Target (%v) to 1h, or 0 for 100ms", c.TargetInterval, c.Target)
	} else {
		check(c.Target == 0 && c.TargetInterval == 0, "Target and TargetInterval are %v and %v; they go with Order Adaptive only", c.Target, c.TargetInterval)
	}
	for flow, w := range c.Weights {
		check(w >= 1 && w <= maxWeight, "Weights[%q] is %d; it takes 1 to %d", flow, w, maxWeight)
	}
	if c.Behavior != nil {
		check(c.Order == FIFO && c.Weights == nil, "Behavior is set, and so is Order or Weights; the Behavior decides what goes first")
	}
	if c.Producer != nil {
		check(len(c.Regulators) > 0, "Producer is set and there are no Regulators; nothing would hold it back")
		check(c.Action == Regulate, "Producer is set and Action is %v; it takes Regulate", c.Action)
	}
	check(len(c.Regulators) <= maxRegulators, "there are %d Regulators; it takes at most %d", len(c.Regulators), maxRegulators)
	names := make(map[string]int)
	for i, r := range c.Regulators {
		if r == nil {
			check(false, "Regulators[%d] is nil; it takes a Rate, a Counter, an AdaptiveLimit, GroupRate or NamedCounter", i)
			continue
		}
		if err := r.validate(); err != nil {
			check(false, "Regulators[%d] (%s): %w", i, r.kind(), err)
		}
		check(!isClustered(r), "Regulators[%d] (%s): Clustered is true; it takes one added by AddCounter or AddGroupRate, shared by NamedCounter or GroupRate", i, r.kind())
	}
	for i, name := range regulatorNames(c.Regulators) {
		if j, taken := names[name]; taken {
			check(false, "Regulators[%d] is named %q, and so is Regulators[%d]", i, name, j)
		}
		names[name] = i
	}
	return errors.Join(errs...)
}

func (r Request) validate() error {
	switch {
	case r.Nice < MinNice || r.Nice > MaxNice:
		return fmt.Errorf("%w request: Nice is %d; it takes %d to %d", penstock.ErrInvalid, r.Nice, MinNice, MaxNice)
	case r.Cost < 0 || r.Cost > maxCost:
		return fmt.Errorf("%w request: Cost is %d; it takes 1 to %d, or 0 for 1", penstock.ErrInvalid, r.Cost, maxCost)
	case len(r.Flow) > maxName:
		return fmt.Errorf("%w request: Flow has %d bytes; it takes at most %d", penstock.ErrInvalid, len(r.Flow), maxName)
	case !utf8.ValidString(r.Flow):
		return fmt.Errorf("%w request: Flow %q is not UTF-8", penstock.ErrInvalid, r.Flow)
	}
	return nil
}

// checkName judges the name of a queue or of a shared regulator.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w %s name: it is empty; it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, what, maxName)
	case len(name) > maxName:
		return fmt.Errorf("%w %s name: it has %d bytes (%.16q…); it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, what, len(name), name, maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w %s name %q: it is not UTF-8", penstock.ErrInvalid, what, name)
	}
	return nil
}
