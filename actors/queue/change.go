package queue

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
)

// SetMaxSize changes how many requests may wait; see Config.MaxSize. Those who wait already stay.
func (q *Queue) SetMaxSize(n int) error {
	return q.change(func(c *Config) error { c.MaxSize = n; return nil }, nil)
}

// SetMaxTime changes how long a request may wait, those included that wait already; see Config.MaxTime.
func (q *Queue) SetMaxTime(d time.Duration) error {
	return q.change(func(c *Config) error { c.MaxTime = d; return nil }, nil)
}

// SetAction changes what becomes of every request, those included that wait already; see Config.Action.
func (q *Queue) SetAction(a Action) error {
	return q.change(func(c *Config) error { c.Action = a; return nil }, nil)
}

// SetWeights changes the shares of flows, for requests from now on; see Config.Weights.
func (q *Queue) SetWeights(w map[string]int) error {
	return q.change(func(c *Config) error { c.Weights = w; return nil }, nil)
}

// Config is the configuration in force, with its defaults filled in.
func (q *Queue) Config() Config {
	g := &q.entry.Value
	g.mu.Lock()
	defer g.mu.Unlock()
	cfg := g.state.rules.given()
	cfg.Regulators = slices.Clone(cfg.Regulators)
	return cfg
}

// SetRegulator changes the numbers of one of the queue's own regulators, by its name: a Rate for a Rate, a Counter for a
// Counter, an AdaptiveLimit for an AdaptiveLimit, which goes on from where it is. What is in use stays so: a counter's limit below
// it takes nothing away, and a rate is not refilled. Jobs give back what they took. Who waits and could never be let go
// any more is told [penstock.ErrInvalid]. Names are those of [Queue.Info].
func (q *Queue) SetRegulator(name string, r Regulator) error {
	if r == nil {
		return q.fault(fmt.Errorf("%w regulator %q: it is nil", penstock.ErrInvalid, name))
	}
	m := q.room
	m.mu.Lock()
	defer m.mu.Unlock()
	g := &q.entry.Value
	g.mu.Lock()
	i := slices.Index(g.state.rules.names, name)
	own := i >= 0 && g.state.regs[i].own
	g.mu.Unlock()
	if !own {
		return q.fault(fmt.Errorf("%w regulator %q: the queue has none of its own with that name", penstock.ErrInvalid, name))
	}
	if err := m.watchFor(r); err != nil {
		return q.fault(err)
	}
	return q.change(func(c *Config) error {
		if before := c.Regulators[i].kind(); r.kind() != before {
			return fmt.Errorf("%q is a %s and cannot become a %s", name, before, r.kind())
		}
		c.Regulators = slices.Clone(c.Regulators)
		c.Regulators[i] = withName(r, name)
		return nil
	}, func(s *state, now time.Time) {
		acct := s.regs[i].acct
		acct.change(now, r)
		if m.watching {
			acct.correct(now, sampler.Current(m.sys))
		}
		acct.touch()
	})
}

// change puts a changed configuration in force: edit changes it, and apply does what follows from that, unless there is
// nothing to follow. If the configuration is bad nothing has happened.
func (q *Queue) change(edit func(*Config) error, apply func(*state, time.Time)) error {
	g := &q.entry.Value
	g.lock()
	defer g.unlock(true)
	s := &g.state
	if s.refusal != nil {
		return q.fault(s.refusal)
	}
	cfg := s.rules.given()
	err := edit(&cfg)
	if err == nil {
		err = cfg.validate()
	}
	if err != nil {
		return q.fault(fmt.Errorf("%w configuration: %w", penstock.ErrInvalid, err))
	}
	s.settle(newRules(cfg))
	if apply != nil {
		apply(s, q.room.clock.Now())
	}
	return nil
}

// withName is the regulator under the name by which the queue knows it.
func withName(r Regulator, name string) Regulator {
	switch r := r.(type) {
	case Rate:
		r.Name = name
		return r
	case Counter:
		r.Name = name
		return r
	case AdaptiveLimit:
		r.Name = name
		return r
	}
	return r
}
