package queue

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// Regulator is one of the limits that a queue's requests must find room in: a [Rate], a [Counter] or an [AdaptiveLimit] of
// the queue's own, or one that it shares with others, by [GroupRate] or [NamedCounter].
type Regulator interface {
	validate() error
	kind() string
}

// Rate lets so many jobs a second go, evenly spaced. In no second, wherever it begins, are there more (rounded up to whole
// jobs).
type Rate struct {
	// PerSecond is how many: 0.001 to 1,000,000, or 0, with which nobody goes.
	PerSecond float64
	// Modifiers lower the rate under load. Default: none
	Modifiers []Modifier
	// Clustered makes a group rate that of all nodes of the cluster together; all add it. See [AddGroupRate]. Default false
	Clustered bool
	// Away is what becomes of requests while the node that owns a clustered rate cannot be reached. Default cluster.Wait
	Away cluster.Policy
	// LocalShare is how much of a clustered rate each node lets go by itself meanwhile, 0 to 1. The rate holds only if the shares of all
	// nodes together are at most 1, and then only if no node reaches the owner. Default 0: none
	LocalShare float64
	// Name is what the regulator is called in the queue. At most 64 bytes of UTF-8 without a slash. Default "rate", from
	// the second on "rate2" and so on
	Name string
}

// Counter bounds how many jobs run at the same time.
type Counter struct {
	// Limit is the most that may be in use: 0, with which nobody goes, to 2,147,483,647.
	Limit int
	// Increment is what each job takes. 1 to 1,000,000. Default 1
	Increment int
	// Modifiers lower the limit under load. Default: none
	Modifiers []Modifier
	// Clustered makes a top-level counter that of all nodes of the cluster together; all add it. See [AddCounter]. Default false
	Clustered bool
	// Away is as in [Rate]
	Away cluster.Policy
	// Name is as in [Rate]. Default "counter", from the second on "counter2" and so on. Other queues may share the counter
	// by it: see [NamedCounter].
	Name string
}

// AdaptiveLimit bounds how many jobs run at the same time by a limit that it finds itself, from how long jobs take: it
// goes up while that stays the same, and down when more jobs only take longer. See limit.Adaptive. A job takes as much of
// it as its request costs.
type AdaptiveLimit struct {
	Min     int    // it goes no lower. 1 to 1,000,000. Default 1
	Max     int    // it goes no higher. Min to 1,000,000. Default 1,000, or Min if that is more
	Initial int    // where it begins, Min to Max. Default 10, or Min or Max if that lies outside
	Name    string // as in Rate. Default "adaptive", from the second on "adaptive2" and so on
}

// groupRate is a top-level rate that several queues share.
type groupRate struct{ name string }

// GroupRate is the rate added to the system under this name by [AddGroupRate]: all queues that have it share it.
func GroupRate(name string) Regulator { return groupRate{name} }

// namedCounter is a counter that several queues share.
type namedCounter struct {
	name      string
	increment int
}

// NamedCounter is the counter added to the system under this name by [AddCounter], or, as "queue/name", a counter of
// another queue. Each job takes increment of it (0: 1). All queues that have it share it.
func NamedCounter(name string, increment int) Regulator { return namedCounter{name, increment} }

// StandardRate is a rate that gives way by 10 % for each level of the samplers "cpu" and "memory", after jobs.
func StandardRate(perSecond float64) Rate {
	return Rate{PerSecond: perSecond, Modifiers: standardModifiers()}
}

// StandardCounter is a counter that gives way by 10 % for each level of the samplers "cpu" and "memory", after jobs.
func StandardCounter(limit int) Counter {
	return Counter{Limit: limit, Modifiers: standardModifiers()}
}

func standardModifiers() []Modifier {
	return []Modifier{{Sampler: "cpu", Local: 10}, {Sampler: "memory", Local: 10}}
}

func (r Rate) kind() string          { return "rate" }
func (c Counter) kind() string       { return "counter" }
func (a AdaptiveLimit) kind() string { return "adaptive" }
func (g groupRate) kind() string     { return "group rate" }
func (n namedCounter) kind() string  { return "named counter" }

func (r Rate) validate() error {
	_, err := limit.NewRate(r.PerSecond)
	if err != nil {
		err = fmt.Errorf("PerSecond: %w", err)
	}
	if r.LocalShare != 0 {
		err = errors.Join(err, r.checkLocalShare())
	}
	return errors.Join(err, checkAway(r.Clustered, r.Away), checkModifiers(r.Modifiers), checkRegulatorName(r.Name))
}

func (c Counter) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Limit < 0 || c.Limit > math.MaxInt32 {
		bad("Limit is %d; it takes 0 to %d", c.Limit, math.MaxInt32)
	}
	if c.Increment < 0 || c.Increment > maxCost {
		bad("Increment is %d; it takes 1 to %d, or 0 for 1", c.Increment, maxCost)
	}
	return errors.Join(append(errs, checkAway(c.Clustered, c.Away), checkModifiers(c.Modifiers), checkRegulatorName(c.Name))...)
}

func (r Rate) checkLocalShare() error {
	switch {
	case !r.Clustered:
		return fmt.Errorf("LocalShare is %v and Clustered is false; it goes with a clustered rate only", r.LocalShare)
	case r.Away == cluster.Refuse:
		return fmt.Errorf("LocalShare is %v and Away is Refuse, which lets nothing go; it takes one of them", r.LocalShare)
	case !(r.LocalShare > 0 && r.LocalShare <= 1):
		return fmt.Errorf("LocalShare is %v; it takes 0 (none) to 1", r.LocalShare)
	case r.PerSecond > 0 && r.PerSecond*r.LocalShare < minRate:
		return fmt.Errorf("LocalShare is %v, and that of the rate is %v a second; it takes what makes %v or more",
			r.LocalShare, r.PerSecond*r.LocalShare, minRate)
	}
	return nil
}

func checkAway(clustered bool, away cluster.Policy) error {
	switch {
	case away > cluster.Refuse:
		return fmt.Errorf("%s is %d; it takes cluster.Wait or cluster.Refuse", "Away", away)
	case away != cluster.Wait && !clustered:
		return fmt.Errorf("%s is set and Clustered is false; it goes with a clustered regulator only", "Away")
	}
	return nil
}

// isClustered reports whether a regulator is that of all nodes together.
func isClustered(r Regulator) bool {
	switch r := r.(type) {
	case Rate:
		return r.Clustered
	case Counter:
		return r.Clustered
	}
	return false
}

func (a AdaptiveLimit) validate() error {
	_, err := limit.NewAdaptive(a.config())
	return errors.Join(err, checkRegulatorName(a.Name))
}

func (a AdaptiveLimit) config() limit.AdaptiveConfig {
	return limit.AdaptiveConfig{Min: a.Min, Max: a.Max, Initial: a.Initial}
}

// most is Max or its default.
func (a AdaptiveLimit) most() int {
	if a.Max == 0 {
		return max(1000, a.Min)
	}
	return a.Max
}

func (g groupRate) validate() error { return checkName("group rate", g.name) }

func (n namedCounter) validate() error {
	if n.increment < 0 || n.increment > maxCost {
		return fmt.Errorf("the increment is %d; it takes 1 to %d, or 0 for 1", n.increment, maxCost)
	}
	return checkName("counter", n.name)
}

func checkRegulatorName(name string) error {
	if len(name) > 64 {
		return fmt.Errorf("Name has %d bytes; it takes at most 64", len(name))
	}
	for _, c := range name {
		if c == '/' || c == '\uFFFD' {
			return fmt.Errorf("Name is %q; it takes UTF-8 without a slash", name)
		}
	}
	return nil
}

// regulatorNames are the names by which a queue knows its regulators: those given, or their kinds, numbered from the
// second one of a kind on. Shared ones are known by their own names.
func regulatorNames(regulators []Regulator) []string {
	names := make([]string, len(regulators))
	count := make(map[string]int)
	for i, r := range regulators {
		given := ""
		switch r := r.(type) {
		case Rate:
			given = r.Name
		case Counter:
			given = r.Name
		case AdaptiveLimit:
			given = r.Name
		case groupRate:
			names[i] = r.kind() + " " + r.name
			continue
		case namedCounter:
			names[i] = r.kind() + " " + r.name
			continue
		default:
			continue
		}
		kind := r.kind()
		count[kind]++
		switch {
		case given != "":
			names[i] = given
		case count[kind] == 1:
			names[i] = kind
		default:
			names[i] = kind + strconv.Itoa(count[kind])
		}
	}
	return names
}
