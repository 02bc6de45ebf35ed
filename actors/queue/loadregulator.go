package queue

import (
	"cmp"

	"github.com/penstock-go/penstock/cluster"
)

// regulator reads one of a queue's regulators: a mapping of its kind to its numbers. It is nil if it cannot be made out.
func (v value) regulator() (r Regulator) {
	_, ok := v.fields(
		field{"rate", func(v value) { r = v.rate(true) }},
		field{"counter", func(v value) { r = v.counter(true) }},
		field{"adaptive", func(v value) { r = v.adaptive() }},
		field{"group_rate", func(v value) {
			if name, ok := v.text(); ok {
				r = checked(v, groupRate{name})
			}
		}},
		field{"named_counter", func(v value) { r = v.namedCounter() }},
		field{"standard_rate", func(v value) {
			rate := StandardRate(0)
			v.perSecond(&rate)
			r = rate
		}},
		field{"standard_counter", func(v value) {
			counter := StandardCounter(0)
			v.limit(&counter)
			r = counter
		}},
	)
	if n := len(v.node.Content) / 2; ok && n != 1 {
		v.bad("it has %d keys; it takes one, which is its kind", n)
	}
	return r
}

// checked is the regulator if there is nothing wrong with it.
func checked(v value, r Regulator) Regulator {
	if err := r.validate(); err != nil {
		v.blame(err)
		return nil
	}
	return r
}

func (v value) perSecond(r *Rate) {
	if x, ok := v.number(); ok {
		try(v, r, Rate.validate, func(r *Rate) { r.PerSecond = x })
	}
}

// rate reads a rate: a number, or a mapping. Only one that is a queue's has a name, and only one that is not can be clustered.
func (v value) rate(named bool) (r Rate) {
	if v.isScalar() {
		v.perSecond(&r)
		return r
	}
	list := []field{
		{"per_second", func(v value) { v.perSecond(&r) }},
		{"modifiers", func(v value) { r.Modifiers = v.modifiers() }},
	}
	if named {
		list = append(list, field{"name", func(v value) {
			v.name(func(s string) { try(v, &r, Rate.validate, func(r *Rate) { r.Name = s }) })
		}})
	} else {
		list = append(list, // clustered before what goes with it
			field{"clustered", func(v value) { r.Clustered = v.yes() }},
			field{"away", func(v value) {
				v.away(func(p cluster.Policy) { try(v, &r, Rate.validate, func(r *Rate) { r.Away = p }) })
			}},
			field{"local_share", func(v value) {
				x, ok := v.number()
				if x, ok = notZero(v, x, ok); ok {
					try(v, &r, Rate.validate, func(r *Rate) { r.LocalShare = x })
				}
			}})
	}
	if there, ok := v.fields(list...); ok {
		v.need(there, "per_second")
	}
	return r
}

func (v value) limit(c *Counter) {
	if n, ok := v.whole(); ok {
		try(v, c, Counter.validate, func(c *Counter) { c.Limit = n })
	}
}

// counter reads a counter: a number, or a mapping. Only one that is a queue's has a name and an increment, and only one
// that is not can be clustered.
func (v value) counter(own bool) (c Counter) {
	if v.isScalar() {
		v.limit(&c)
		return c
	}
	list := []field{
		{"limit", func(v value) { v.limit(&c) }},
		{"modifiers", func(v value) { c.Modifiers = v.modifiers() }},
	}
	if own {
		list = append(list,
			field{"increment", func(v value) {
				v.count(func(n int) { try(v, &c, Counter.validate, func(c *Counter) { c.Increment = n }) })
			}},
			field{"name", func(v value) {
				v.name(func(s string) { try(v, &c, Counter.validate, func(c *Counter) { c.Name = s }) })
			}})
	} else {
		list = append(list,
			field{"clustered", func(v value) { c.Clustered = v.yes() }},
			field{"away", func(v value) {
				v.away(func(p cluster.Policy) { try(v, &c, Counter.validate, func(c *Counter) { c.Away = p }) })
			}})
	}
	if there, ok := v.fields(list...); ok {
		v.need(there, "limit")
	}
	return c
}

// away reads what becomes of requests while the owner of a clustered regulator is away.
func (v value) away(use func(cluster.Policy)) {
	if i, ok := v.word("wait", "refuse"); ok {
		use([]cluster.Policy{cluster.Wait, cluster.Refuse}[i])
	}
}

// adaptive reads an adaptive limit.
func (v value) adaptive() (a AdaptiveLimit) {
	count := func(of func(*AdaptiveLimit) *int) func(value) {
		return func(v value) {
			v.count(func(n int) { try(v, &a, AdaptiveLimit.validate, func(a *AdaptiveLimit) { *of(a) = n }) })
		}
	}
	v.fields( // max before min, which it bounds
		field{"max", count(func(a *AdaptiveLimit) *int { return &a.Max })},
		field{"min", count(func(a *AdaptiveLimit) *int { return &a.Min })},
		field{"initial", count(func(a *AdaptiveLimit) *int { return &a.Initial })},
		field{"name", func(v value) {
			v.name(func(s string) { try(v, &a, AdaptiveLimit.validate, func(a *AdaptiveLimit) { a.Name = s }) })
		}},
	)
	return a
}

// namedCounter reads what is shared: a name, or a mapping.
func (v value) namedCounter() Regulator {
	if v.isScalar() {
		name, ok := v.text()
		if !ok {
			return nil
		}
		return checked(v, namedCounter{name: name})
	}
	var name string
	n := namedCounter{name: "any"} // of which the increment is judged without the name
	there, ok := v.fields(
		field{"name", func(v value) {
			v.name(func(s string) {
				if checked(v, namedCounter{name: s}) != nil {
					name = s
				}
			})
		}},
		field{"increment", func(v value) {
			v.count(func(i int) { try(v, &n, namedCounter.validate, func(n *namedCounter) { n.increment = i }) })
		}},
	)
	if ok {
		v.need(there, "name")
	}
	if name == "" {
		return nil
	}
	n.name = name
	return n
}

// modifiers reads a list of them.
func (v value) modifiers() (list []Modifier) {
	items, _ := v.items("mappings of sampler, local, remote and remote_by")
	for _, item := range items {
		var m Modifier
		percent := func(of func(*Modifier) *int) func(value) {
			return func(v value) {
				if n, ok := v.whole(); ok {
					try(v, &m, checkModifier, func(m *Modifier) { *of(m) = n })
				}
			}
		}
		there, ok := item.fields(
			field{"sampler", func(v value) {
				v.name(func(s string) { try(v, &m, checkModifier, func(m *Modifier) { m.Sampler = s }) })
			}},
			field{"local", percent(func(m *Modifier) *int { return &m.Local })},
			field{"remote", percent(func(m *Modifier) *int { return &m.Remote })},
			field{"remote_by", func(v value) {
				if i, ok := v.word("average", "highest"); ok {
					m.RemoteBy = []RemoteBy{Average, Highest}[i]
				}
			}},
		)
		if ok {
			item.need(there, "sampler")
		}
		if m.Sampler != "" {
			list = append(list, m)
		}
	}
	return list
}

// checkModifier judges a modifier of which the sampler may not have been read yet.
func checkModifier(m Modifier) error {
	m.Sampler = cmp.Or(m.Sampler, "any")
	return checkModifiers([]Modifier{m})
}
