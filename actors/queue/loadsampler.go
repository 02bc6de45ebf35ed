package queue

import (
	"time"

	"github.com/penstock-go/penstock/actors/sampler"
)

// Bounds of package sampler's.
const (
	minInterval   = 10 * time.Millisecond
	maxHistory    = 100_000
	maxThresholds = 1000
	maxSampler    = 64 // bytes of a name
)

// sampler reads a sampler.
func (e fileEntry) sampler(f *file) {
	s, before := samplerSection{at: e.at, name: e.name}, len(*e.at.wrong)
	if len(e.name) > maxSampler || e.name == "" {
		e.at.bad("the name has %d bytes; it takes 1 to %d", len(e.name), maxSampler)
	}
	cfg := &s.cfg
	there, ok := e.value.fields(
		field{"source", func(v value) {
			sources := []string{"cpu", "memory", "heap", "scheduler", "gc"}
			if i, ok := v.word(sources...); ok {
				s.source = sources[i]
			}
		}},
		field{"interval", func(v value) {
			d, ok := v.duration()
			if d, ok = notZero(v, d, ok); ok && v.check(d >= minInterval, "it is %v; it takes %v or more", d, minInterval) {
				cfg.Interval = d
			}
		}},
		field{"thresholds", func(v value) { cfg.Thresholds = v.thresholds() }},
		field{"hysteresis", func(v value) { cfg.Hysteresis = v.hysteresis() }},
		field{"history", func(v value) {
			v.count(func(n int) {
				v.check(n >= 1 && n <= maxHistory, "it is %d; it takes 1 to %d", n, maxHistory)
				cfg.History = n
			})
		}},
		field{"missing", func(v value) {
			v.count(func(n int) {
				v.check(n >= 1, "it is %d; it takes 1 or more", n)
				cfg.Missing = n
			})
		}},
		field{"clustered", func(v value) {
			if cfg.Clustered = v.yes(); cfg.Clustered {
				f.clustered = append(f.clustered, v)
			}
		}},
	)
	if ok {
		e.value.need(there, "source")
	}
	s.faulty = len(*e.at.wrong) > before
	f.samplers = append(f.samplers, s)
}

func (v value) thresholds() (list []float64) {
	const takes = "rising numbers"
	items, ok := v.items(takes)
	if !ok || !v.check(len(items) > 0 && len(items) <= maxThresholds, "it has %d; it takes 1 to %d %s", len(items), maxThresholds, takes) {
		return nil
	}
	for _, item := range items {
		x, ok := item.number()
		if !ok {
			continue
		}
		if n := len(list); n > 0 {
			item.check(x > list[n-1], "it is %v, after %v; it takes a number above it", x, list[n-1])
		}
		list = append(list, x)
	}
	return list
}

func (v value) hysteresis() float64 {
	if v.isWord("none") {
		return sampler.NoHysteresis
	}
	const takes = "a share between 0 and 1, or none"
	if v.node.ShortTag() != "!!float" && v.node.ShortTag() != "!!int" {
		v.bad("it is %s; it takes %s", v.what(), takes)
		return 0
	}
	x, ok := v.number()
	if ok {
		v.check(x > 0 && x < 1, "it is %v; it takes %s", x, takes)
	}
	return x
}
