package queue

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/cluster"
)

// step is a change of the system.
type step struct {
	what string // it is about
	do   func() error
}

// planner finds out what a file changes in a system, and whether that can be.
type planner struct {
	room  *room
	loads *loads
	file  *file
	steps []step
}

// planFor plans what brings the system to what the file says. What cannot be is noted as wrong.
func planFor(m *room, l *loads, f *file, wrong *faults) *planner {
	p := &planner{room: m, loads: l, file: f}
	for _, v := range f.clustered {
		v.check(m.peers.Load() != nil || cluster.Of(m.sys) != nil, "clustered is true, and the system is no node of a cluster: call cluster.Join first")
	}
	p.choose()
	for _, s := range f.samplers {
		p.sampler(s)
	}
	for _, s := range f.rates {
		r := s.r.(Rate)
		p.shared(s, rates, func() error { return AddGroupRate(m.sys, s.name, r) }, func() error { return SetGroupRate(m.sys, s.name, r) })
	}
	for _, s := range f.counters {
		c := s.r.(Counter)
		p.shared(s, counters, func() error { return AddCounter(m.sys, s.name, c) }, func() error { return SetCounter(m.sys, s.name, c) })
	}
	for _, s := range p.inOrder() {
		if e, ok := m.queues.Lookup(s.name); ok {
			p.change(e.Value.queue, s)
			continue
		}
		p.step("queue", s.name, func() error { _, err := Add(m.sys, s.name, s.cfg); return err })
	}
	return p
}

// apply changes the system as planned.
func (p *planner) apply() error {
	for i, step := range p.steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("the configuration is in force up to, and without, %s (%d of %d changes): %w", step.what, i, len(p.steps), err)
		}
	}
	return nil
}

func (p *planner) step(kind, name string, do func() error) {
	p.steps = append(p.steps, step{fmt.Sprintf("%s %q", kind, name), do})
}

// choose makes the queue the default one that the file says.
func (p *planner) choose() {
	v := p.file.fallback
	if v == nil {
		return
	}
	name := v.node.Value
	now := p.room.fallback.Load()
	if now != nil && now.name != name {
		v.bad("it is %q now, and cannot be changed at run time; that queue must be deleted first", now.name)
		return
	}
	if now != nil {
		return
	}
	if _, ok := p.room.queues.Lookup(name); ok {
		v.bad("queue %q is there and is not the default one, which cannot be changed at run time; it must be deleted first", name)
		return
	}
	if s := p.file.byName[name]; s != nil {
		s.cfg.Default = true
		return
	}
	v.bad("there is no queue %q; it takes the name of a queue of the file", name)
}

func (p *planner) sampler(s samplerSection) {
	now, ok := sampler.Get(p.room.sys, s.name)
	if ok {
		before := p.loads.samplers[s.name]
		s.at.check(s.faulty || before.sampler == now && before.as.same(s), "the sampler is there, with another configuration, and cannot be changed at run time; it must be deleted first")
		return
	}
	p.step("sampler", s.name, func() error {
		cfg := s.cfg
		cfg.Source, _ = sampler.Named(s.source)
		added, err := sampler.Add(p.room.sys, s.name, cfg)
		if err == nil {
			if p.loads.samplers == nil {
				p.loads.samplers = make(map[string]loadedSampler)
			}
			p.loads.samplers[s.name] = loadedSampler{added, s}
		}
		return err
	})
}

// same reports whether two sections make the same sampler.
func (s samplerSection) same(as samplerSection) bool {
	return s.source == as.source && reflect.DeepEqual(s.cfg, as.cfg)
}

func (p *planner) shared(s sharedSection, of familyOf, add, set func() error) {
	do := add
	if e, ok := of(p.room).Lookup(s.name); ok {
		do = set
		s.at.check((e.Value.desk != nil) == isClustered(s.r), "clustered: it cannot be changed at run time; the %s must be deleted first", s.r.kind())
	}
	p.step(s.r.kind(), s.name, do)
}

// inOrder is the queues of the file, those first whose counters others share. It finds what shared regulators are not
// there, and who shares in a circle.
func (p *planner) inOrder() (list []*queueSection) {
	const (
		unseen = iota
		within
		done
	)
	seen := make(map[*queueSection]int)
	var visit func(s *queueSection)
	visit = func(s *queueSection) {
		seen[s] = within
		for i, r := range s.cfg.Regulators {
			owner := p.refer(s.regulators[i], r)
			switch {
			case owner == nil:
			case seen[owner] == within:
				s.regulators[i].bad("queue %q cannot share this counter, whose queue is not made before it; share one of the section counters", s.name)
			case seen[owner] == unseen:
				visit(owner)
			}
		}
		seen[s] = done
		list = append(list, s)
	}
	for _, s := range p.file.queues {
		if seen[s] == unseen {
			visit(s)
		}
	}
	return list
}

// refer finds the shared regulator that a queue is to have. It returns the queue of the file whose counter that is, if it
// is one.
func (p *planner) refer(v value, r Regulator) (owner *queueSection) {
	switch r := r.(type) {
	case groupRate:
		_, ok := p.room.rates.Lookup(r.name)
		v.check(ok || p.file.named[sharedName{Rate{}.kind(), r.name}], "there is no group rate %q, neither in the file nor in the system", r.name)
	case namedCounter:
		queue, counter, of := strings.Cut(r.name, "/")
		if !of {
			_, ok := p.room.counters.Lookup(r.name)
			v.check(ok || p.file.named[sharedName{Counter{}.kind(), r.name}], "there is no counter %q, neither in the file nor in the system", r.name)
			return nil
		}
		var regulators []Regulator
		if owner = p.file.byName[queue]; owner != nil {
			regulators = owner.cfg.Regulators
		} else if e, ok := p.room.queues.Lookup(queue); ok {
			regulators = e.Value.queue.Config().Regulators
		} else {
			v.bad("there is no queue %q, neither in the file nor in the system", queue)
			return nil
		}
		i := slices.Index(regulatorNames(regulators), counter)
		isCounter := i >= 0 && regulators[i].kind() == Counter{}.kind()
		v.check(isCounter || owner != nil && owner.faulty, "queue %q has no counter %q", queue, counter)
	}
	return owner
}

// change plans to change a queue that is there.
func (p *planner) change(q *Queue, s *queueSection) {
	if s.faulty {
		return // what is left out would look like a change
	}
	now, want := q.Config(), newRules(s.cfg).given()
	p.fixed(s, now, want)
	p.tune(q, s, now, want)
	if regulatorList(now.Regulators) != regulatorList(want.Regulators) {
		return
	}
	names := regulatorNames(now.Regulators)
	for i, r := range want.Regulators {
		if own(r) && !sameRegulator(now.Regulators[i], r) {
			p.step("queue", s.name, func() error { return q.SetRegulator(names[i], r) })
		}
	}
}

// fixed finds what cannot be changed at run time.
func (p *planner) fixed(s *queueSection, now, want Config) {
	fixed := func(key string, now, want any) {
		s.where(key).check(now == want, "it is %v now, and cannot be changed at run time; the queue must be deleted first", now)
	}
	fixed("order", now.Order, want.Order)
	if now.Order == Adaptive && want.Order == Adaptive {
		fixed("target", now.Target, want.Target)
		fixed("target_interval", now.TargetInterval, want.TargetInterval)
	}
	fixed("check_interval", now.CheckInterval, want.CheckInterval)
	fixed("regulators", regulatorList(now.Regulators), regulatorList(want.Regulators))
}

// regulatorList is what of a queue's regulators cannot be changed.
func regulatorList(list []Regulator) string {
	names := regulatorNames(list)
	for i, r := range list {
		switch r := r.(type) {
		case groupRate:
			names[i] = fmt.Sprintf("%s %q", r.kind(), r.name)
		case namedCounter:
			names[i] = fmt.Sprintf("%s %q (increment %d)", r.kind(), r.name, incrementOf(r))
		default:
			if names[i] != r.kind() {
				names[i] = fmt.Sprintf("%s %q", r.kind(), names[i])
			}
		}
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// tune plans what can be changed one by one. It is judged together with what the queue has that no file says.
func (p *planner) tune(q *Queue, s *queueSection, now, want Config) {
	tune := func(key string, same bool, change func(*Config), do func() error) {
		if same {
			return
		}
		try(s.where(key), &now, Config.validate, change)
		p.step("queue", s.name, do)
	}
	tune("max_size", now.MaxSize == want.MaxSize,
		func(c *Config) { c.MaxSize = want.MaxSize }, func() error { return q.SetMaxSize(want.MaxSize) })
	tune("max_time", now.MaxTime == want.MaxTime,
		func(c *Config) { c.MaxTime = want.MaxTime }, func() error { return q.SetMaxTime(want.MaxTime) })
	tune("action", now.Action == want.Action,
		func(c *Config) { c.Action = want.Action }, func() error { return q.SetAction(want.Action) })
	tune("weights", maps.Equal(now.Weights, want.Weights),
		func(c *Config) { c.Weights = want.Weights }, func() error { return q.SetWeights(want.Weights) })
}

// own reports whether the regulator is a queue's own.
func own(r Regulator) bool {
	switch r.(type) {
	case groupRate, namedCounter:
		return false
	}
	return true
}

// sameRegulator reports whether two regulators of the same name and kind have the same numbers. Modifiers with functions,
// which no file has, are never the same.
func sameRegulator(a, b Regulator) bool {
	switch a := a.(type) {
	case Rate:
		b := b.(Rate)
		return a.PerSecond == b.PerSecond && sameModifiers(a.Modifiers, b.Modifiers)
	case Counter:
		return a.Limit == b.(Counter).Limit && incrementOf(a) == incrementOf(b) && sameModifiers(a.Modifiers, b.(Counter).Modifiers)
	case AdaptiveLimit:
		return a.config() == b.(AdaptiveLimit).config()
	}
	return false
}

func sameModifiers(a, b []Modifier) bool {
	return slices.EqualFunc(a, b, func(a, b Modifier) bool {
		same := a.Sampler == b.Sampler && a.Local == b.Local && a.Remote == b.Remote && a.RemoteBy == b.RemoteBy
		return same && a.Func == nil && b.Func == nil
	})
}
