package sampler

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
)

// Sampler measures at an interval and says how loaded what it measures is. It is safe for concurrent use.
type Sampler struct{ entry *entry }

// Add starts a sampler. Its name, 1 to 64 bytes of UTF-8, is unique in the system. The error is [penstock.ErrInvalid], and
// names every bad field and the values it takes; [penstock.ErrExists]; [penstock.ErrFull] with 1,000 samplers; or
// [penstock.ErrClosed]. Then nothing has been started, and the source is still the caller's.
func Add(sys *penstock.System, name string, cfg Config) (*Sampler, error) {
	cfg, err := cfg.compile(name)
	if err != nil {
		return nil, err
	}
	r, err := roomOf(sys)
	if err != nil {
		return nil, fmt.Errorf("sampler %q: %w", name, err)
	}
	if cfg.Clustered {
		if err := r.join(); err != nil {
			return nil, fmt.Errorf("sampler %q: %w", name, err)
		}
	}
	now := time.Now()
	e, err := r.children.Add(name, func(e *entry) { e.Value.open(r, e, cfg, now) })
	if err != nil {
		return nil, fmt.Errorf("sampler %q: %w", name, err)
	}
	g := &e.Value
	r.board.add(name, g)
	return &g.handle, nil
}

// Get returns the sampler of this name, if there is one.
func Get(sys *penstock.System, name string) (*Sampler, bool) {
	r, err := roomOf(sys)
	if err != nil {
		return nil, false
	}
	e, ok := r.children.Lookup(name)
	if !ok {
		return nil, false
	}
	return &e.Value.handle, true
}

// Delete ends the sampler of this name and reports whether there was one. Its level counts as 0 from now on, and its name
// is free. It does not wait for a sample under way, whose context ends.
func Delete(sys *penstock.System, name string) bool {
	r, err := roomOf(sys)
	if err != nil {
		return false
	}
	e, ok := r.children.Lookup(name)
	if !ok || !r.children.Remove(e) {
		return false
	}
	r.finish(&e.Value)
	return true
}

// Name is the sampler's name.
func (s *Sampler) Name() string { return s.entry.Key() }

// Level is the present level: 0 when there is no load, when nothing was measured yet or lately, and after Delete.
func (s *Sampler) Level() int { return s.entry.Value.level() }

// Tell passes a message to the source, on the caller's goroutine, as soon as no sample is under way; ctx bounds the wait.
// The error is the source's own, a [penstock.PanicError], ctx's, [penstock.ErrClosed], or [penstock.ErrInvalid] if the
// source has no Tell.
func (s *Sampler) Tell(ctx context.Context, message any) error {
	g := &s.entry.Value
	t, ok := g.cfg.Source.(teller)
	if !ok {
		return fmt.Errorf("%w: sampler %q: its source, a %T, takes no messages; it would need Tell(message any) error", penstock.ErrInvalid, s.Name(), g.cfg.Source)
	}
	if err := g.enter(ctx); err != nil {
		return fmt.Errorf("sampler %q: %w", s.Name(), err)
	}
	defer g.leave()
	if err := guard(func() error { return t.Tell(message) }); err != nil {
		return fmt.Errorf("sampler %q: %w", s.Name(), err)
	}
	return nil
}

// Info is what a sampler can tell of itself.
type Info struct {
	Name       string
	Level      int
	Since      time.Time // when the level was reached
	Value      float64   // what was compared last; 0 while History is empty
	History    []Sample  // the oldest first
	Interval   time.Duration
	Thresholds []float64
	Missed     uint64         // samples, since Add
	Err        error          // why the last sample was missed; nil if it was not. ErrClosed after the end
	Remote     map[string]int // the levels of the samplers of this name on other nodes
}

// Info tells what the sampler knows.
func (s *Sampler) Info() Info {
	g := &s.entry.Value
	info := g.info()
	info.Remote = g.room.board.ofNodes(s.Name())
	return info
}
