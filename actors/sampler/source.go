package sampler

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
)

// Source measures. Sample is called on a goroutine of its own, and never while another call of the source's methods is
// under way: it needs no lock, and a slow one delays nobody. An error is a missed sample, and so is a panic. ctx ends when
// the sampler does; the end of the sampler is not complete before Sample has returned.
//
// A source may have more: Tell(message any) error takes what [Sampler.Tell] passes on; Thresholds() []float64 gives the
// default of [Config.Thresholds]; Close() error is called once, when the sampler ends.
type Source interface {
	Sample(ctx context.Context) (float64, error)
}

// SourceFunc is a function that measures.
type SourceFunc func(ctx context.Context) (float64, error)

// Sample implements [Source].
func (f SourceFunc) Sample(ctx context.Context) (float64, error) { return f(ctx) }

// Sample is what was measured, and when.
type Sample struct {
	At    time.Time
	Value float64
}

// Named gives a new source by its name in configuration files: "cpu", "memory", "heap", "scheduler" or "gc".
func Named(name string) (Source, bool) {
	switch name {
	case "cpu":
		return CPU(), true
	case "memory":
		return Memory(), true
	case "heap":
		return Heap(), true
	case "scheduler":
		return Scheduler(), true
	case "gc":
		return GC(), true
	}
	return nil, false
}

// What a source may have beside Sample.
type (
	teller interface{ Tell(message any) error }
	ranger interface{ Thresholds() []float64 }
)

func ownThresholds(s Source) (list []float64, err error) {
	if r, ok := s.(ranger); ok {
		err = guard(func() error { list = r.Thresholds(); return nil })
	}
	return list, err
}

var errGoexit = errors.New("the function called runtime.Goexit")

// guard calls a user's function and makes an error of its panic.
func guard(fn func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	return fn()
}
