package queue

import (
	"errors"
	"fmt"

	"github.com/penstock-go/penstock/actors/sampler"
)

// Modifier lowers a regulator's limit by the levels of a sampler, after jobs' modifiers. The corrections of a regulator's
// modifiers are added up, in percent, and what is left is taken of the limit as configured: with 0 it is restored.
//
// The correction is Local for each level here, and Remote for each level on other nodes, of which RemoteBy takes the
// average or the highest; or whatever Func says. If several modifiers name the same sampler the last one counts.
type Modifier struct {
	Sampler  string // whose levels. Required
	Local    int    // percent for each level here, 0 to 100. Default 0
	Remote   int    // percent for each level on other nodes, 0 to 100. Default 0
	RemoteBy RemoteBy
	// Func computes the correction in percent instead; below 0 counts as 0 and above 100 as 100. It must be short and must
	// not call the system. Default nil
	Func func(local int, remote map[string]int) int
}

// RemoteBy is what the levels of several nodes come to.
type RemoteBy uint8

const (
	Average RemoteBy = iota // their average, rounded down after it is multiplied
	Highest                 // the highest of them
)

func checkModifiers(modifiers []Modifier) error {
	var errs []error
	for i, m := range modifiers {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s[%d]: %w", "Modifiers", i, fmt.Errorf(format, args...)))
		}
		if err := checkName("sampler", m.Sampler); err != nil {
			bad("%w", err)
		}
		if m.Local < 0 || m.Local > 100 {
			bad("Local is %d; it takes 0 to 100 percent", m.Local)
		}
		if m.Remote < 0 || m.Remote > 100 {
			bad("Remote is %d; it takes 0 to 100 percent", m.Remote)
		}
		if m.RemoteBy > Highest {
			bad("RemoteBy is %d; it takes Average or Highest", m.RemoteBy)
		}
		if m.Func != nil && (m.Local != 0 || m.Remote != 0) {
			bad("Func is set, and so is Local or Remote; Func alone decides")
		}
	}
	return errors.Join(errs...)
}

// correction is what the modifiers come to under a load, in percent: 0 to 100.
func correction(modifiers []Modifier, load sampler.Load) int {
	sum := 0
	for i, m := range modifiers {
		if !overruled(modifiers[i+1:], m.Sampler) {
			sum += min(max(m.correct(load[m.Sampler]), 0), 100)
		}
	}
	return min(sum, 100)
}

// overruled reports whether one of the later modifiers is of the same sampler.
func overruled(later []Modifier, name string) bool {
	for _, m := range later {
		if m.Sampler == name {
			return true
		}
	}
	return false
}

func (m Modifier) correct(level sampler.Level) int {
	if m.Func != nil {
		return m.Func(level.Local, level.Remote)
	}
	remote, sum, highest := 0, 0, 0
	for _, l := range level.Remote {
		sum += l
		highest = max(highest, l)
	}
	switch {
	case m.RemoteBy == Highest:
		remote = highest * m.Remote
	case len(level.Remote) > 0:
		remote = sum * m.Remote / len(level.Remote)
	}
	return level.Local*m.Local + remote
}

// modifiersOf are those that a regulator is configured with.
func modifiersOf(r Regulator) []Modifier {
	switch r := r.(type) {
	case Rate:
		return r.Modifiers
	case Counter:
		return r.Modifiers
	}
	return nil
}
