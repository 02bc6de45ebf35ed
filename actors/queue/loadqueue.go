package queue

import "time"

// queue reads a queue.
func (e fileEntry) queue(f *file) {
	s, before := &queueSection{at: e.at, name: e.name}, len(*e.at.wrong)
	if err := checkName("queue", e.name); err != nil {
		e.at.blame(err)
	}
	set := func(v value, how func(*Config)) { try(v, &s.cfg, Config.validate, how) }
	duration := func(of func(*Config) *time.Duration, zero bool) func(value) {
		return func(v value) {
			d, ok := v.duration()
			if !zero {
				d, ok = notZero(v, d, ok)
			}
			if ok {
				set(v, func(c *Config) { *of(c) = d })
			}
		}
	}
	s.there, _ = e.value.fields( // what another key depends on comes before it
		field{"regulators", s.readRegulators},
		field{"order", func(v value) {
			if i, ok := v.word("fifo", "lifo", "adaptive"); ok {
				set(v, func(c *Config) { c.Order = []Order{FIFO, LIFO, Adaptive}[i] })
			}
		}},
		field{"target", duration(func(c *Config) *time.Duration { return &c.Target }, false)},
		field{"target_interval", duration(func(c *Config) *time.Duration { return &c.TargetInterval }, false)},
		field{"weights", func(v value) { s.cfg.Weights = v.weights() }},
		field{"max_time", duration(func(c *Config) *time.Duration { return &c.MaxTime }, true)},
		field{"max_size", func(v value) {
			n, ok := v.maxSize()
			if ok {
				set(v, func(c *Config) { c.MaxSize = n })
			}
		}},
		field{"action", func(v value) {
			if i, ok := v.word("regulate", "approve", "reject"); ok {
				set(v, func(c *Config) { c.Action = []Action{Regulate, Approve, Reject}[i] })
			}
		}},
		field{"check_interval", duration(func(c *Config) *time.Duration { return &c.CheckInterval }, true)},
	)
	s.faulty = len(*e.at.wrong) > before
	f.queues = append(f.queues, s)
	f.byName[s.name] = s
}

// try keeps a change of x with which validate finds nothing wrong. Otherwise the fault is the value's.
func try[T any](v value, x *T, validate func(T) error, change func(*T)) {
	next := *x
	change(&next)
	if err := validate(next); err != nil {
		v.blame(err)
		return
	}
	*x = next
}

// weights reads the shares of flows; nil if there are none.
func (v value) weights() map[string]int {
	entries, _ := v.entries("a mapping of flows to their weights")
	var weights map[string]int
	for _, e := range entries {
		n, ok := e.value.whole()
		if !ok {
			continue
		}
		one := Config{Weights: map[string]int{e.name: n}}
		if err := one.validate(); err != nil {
			e.value.blame(err)
			continue
		}
		if weights == nil {
			weights = make(map[string]int)
		}
		weights[e.name] = n
	}
	return weights
}

// maxSize reads how many may wait, which has a word for nobody.
func (v value) maxSize() (int, bool) {
	if v.isWord("none") {
		return NoWaiting, true
	}
	const takes = "it is %s; it takes 1 to %d, or none"
	if v.node.ShortTag() != "!!int" {
		v.bad(takes, v.what(), maxSize)
		return 0, false
	}
	n, ok := v.whole()
	return n, ok && v.check(n >= 1 && n <= maxSize, takes, v.what(), maxSize)
}

// readRegulators reads the list of the queue's regulators.
func (s *queueSection) readRegulators(v value) {
	items, _ := v.items("regulators")
	v.check(len(items) <= maxRegulators, "it has %d; it takes at most %d", len(items), maxRegulators)
	for _, item := range items[:min(len(items), maxRegulators)] {
		if r := item.regulator(); r != nil {
			s.cfg.Regulators = append(s.cfg.Regulators, r)
			s.regulators = append(s.regulators, item)
		}
	}
	first := make(map[string]int)
	for i, name := range regulatorNames(s.cfg.Regulators) {
		if j, taken := first[name]; taken {
			s.regulators[i].bad("it is %q, and so is the one in line %d", name, s.regulators[j].node.Line)
			continue
		}
		first[name] = i
	}
}
