package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/internal/roomtest"
)

const (
	queueKeys     = "regulators, order, target, target_interval, weights, max_time, max_size, action or check_interval"
	regulatorKeys = "rate, counter, adaptive, group_rate, named_counter, standard_rate or standard_counter"
	fileKeys      = "samplers, group_rates, counters, queues or default"
)

// badFiles are files and everything that is wrong with them.
var badFiles = []struct{ text, want string }{
	// The file as a whole.
	{"", "line 1, column 1: it has no document; it takes " + fileKeys},
	{"# nothing\n", "line 1, column 1: it has no document; it takes " + fileKeys},
	{"queues", `line 1, column 1: it is "queues"; it takes a mapping of ` + fileKeys},
	{"- queues", "line 1, column 1: it is a list; it takes a mapping of " + fileKeys},
	{"queues:\n\ta: {}", "line 2, column 1: it is not YAML: found character that cannot start any token, while scanning for the next token"},
	{"queues: {a: {}}\n---\nqueues: {b: {}}", "line 2, column 1: a second document begins; it takes one"},
	{"queues: {}\nname: \xff", "line 2, column 7: the byte 0xff is not UTF-8"},
	{"queues: {}\n\x00", "line 2, column 1: the character 0x0 is not text"},
	{"queue:\n  a: {}", "line 1, column 1: queue: the key is unknown; it takes " + fileKeys},
	{"queues: {}\nqueues: {}", "line 2, column 1: queues: it is given twice, first in line 1"},
	{"queues: 5", "line 1, column 9: queues: it is 5; it takes a mapping of the names of queues"},
	{"queues:\n  5: {}", "line 2, column 3: queues: it is 5; it takes text, in quotes if need be"},
	{"queues:\n  a: &q {}\n  b: *q", "line 3, column 6: queues.b: it is an alias, which must be written out; it takes a mapping of " + queueKeys},
	{"queues: !secret {}", "line 1, column 9: queues: it is a mapping; it takes a mapping of the names of queues"},
	{"default: none", `line 1, column 10: default: there is no queue "none"; it takes the name of a queue of the file`},
	{"default: [a]", "line 1, column 10: default: it is a list; it takes text, in quotes if need be"},

	// Queues.
	{"queues:\n  api:\n    max_tme: 5s", "line 3, column 5: queues.api.max_tme: the key is unknown; it takes " + queueKeys},
	{"queues:\n  api:\n    max_size: 5\n    max_size: 6", "line 4, column 5: queues.api.max_size: it is given twice, first in line 3"},
	{"queues:\n  api:", "line 2, column 7: queues.api: it is empty; it takes a mapping of " + queueKeys},
	{`queues: {"": {}}`, `line 1, column 10: queues."": queue name: it is empty; it takes 1 to 512 bytes of UTF-8`},
	{"queues: {a: {max_size: 0}}", "line 1, column 24: queues.a.max_size: it is 0; it takes 1 to 2147483647, or none"},
	{"queues: {a: {max_size: -1}}", "line 1, column 24: queues.a.max_size: it is -1; it takes 1 to 2147483647, or none"},
	{"queues: {a: {max_size: 3000000000}}", "line 1, column 24: queues.a.max_size: it is 3000000000; it takes 1 to 2147483647, or none"},
	{"queues: {a: {max_size: many}}", `line 1, column 24: queues.a.max_size: it is "many"; it takes 1 to 2147483647, or none`},
	{"queues: {a: {max_time: 5}}", "line 1, column 24: queues.a.max_time: it is 5; it takes a duration, such as 5s, 1m30s or 100ms"},
	{"queues: {a: {max_time: -5s}}", "line 1, column 24: queues.a.max_time: max_time is -5s; it takes 0 (no bound) to 8784h0m0s"},
	{"queues: {a: {order: random}}", `line 1, column 21: queues.a.order: it is "random"; it takes fifo, lifo or adaptive`},
	{"queues: {a: {action: pass}}", `line 1, column 22: queues.a.action: it is "pass"; it takes regulate, approve or reject`},
	{"queues: {a: {action: true}}", `line 1, column 22: queues.a.action: it is true; it takes regulate, approve or reject`},
	{"queues: {a: {target: 1s}}", "line 1, column 22: queues.a.target: target and target_interval are 1s and 0s; they go with order adaptive only"},
	{"queues: {a: {target: 0s, order: adaptive}}", "line 1, column 22: queues.a.target: it is 0; leave the key out for its default"},
	{"queues: {a: {target: 2h, order: adaptive}}", "line 1, column 22: queues.a.target: target is 2h0m0s; it takes a positive duration up to 1h"},
	{"queues: {a: {target_interval: 1s, target: 2s, order: adaptive}}", "line 1, column 31: queues.a.target_interval: target_interval is 1s; it takes target (2s) to 1h"},
	{"queues: {a: {check_interval: 1us}}", "line 1, column 30: queues.a.check_interval: check_interval is 1µs; it takes 0 (none) or 1ms to 1h"},
	{"queues: {a: {weights: {Gold: 0, b: x}}}", "line 1, column 30: queues.a.weights.Gold: weights[\"Gold\"] is 0; it takes 1 to 1000000\n" +
		`line 1, column 36: queues.a.weights.b: it is "x"; it takes a whole number`},

	// Regulators.
	{"queues: {a: {regulators: 5}}", "line 1, column 26: queues.a.regulators: it is 5; it takes a list of regulators"},
	{"queues: {a: {regulators: [5]}}", "line 1, column 27: queues.a.regulators[0]: it is 5; it takes a mapping of " + regulatorKeys},
	{"queues: {a: {regulators: [{}]}}", "line 1, column 27: queues.a.regulators[0]: it has 0 keys; it takes one, which is its kind"},
	{"queues: {a: {regulators: [{rate: 1, counter: 1}]}}", "line 1, column 27: queues.a.regulators[0]: it has 2 keys; it takes one, which is its kind"},
	{"queues: {a: {regulators: [rat: 1]}}", "line 1, column 27: queues.a.regulators[0].rat: the key is unknown; it takes " + regulatorKeys},
	{"queues: {a: {regulators: [rate: -1]}}", "line 1, column 33: queues.a.regulators[0].rate: per_second: rate: -1 a second, want 0 or 0.001 to 1000000"},
	{"queues: {a: {regulators: [rate: fast]}}", `line 1, column 33: queues.a.regulators[0].rate: it is "fast"; it takes a number`},
	{"queues: {a: {regulators: [rate: .inf]}}", `line 1, column 33: queues.a.regulators[0].rate: it is .inf; it takes a number`},
	{"queues: {a: {regulators: [rate: {}]}}", `line 1, column 33: queues.a.regulators[0].rate: the key per_second is missing`},
	{"queues: {a: {regulators: [rate: [5]]}}", `line 1, column 33: queues.a.regulators[0].rate: it is a list; it takes a mapping of per_second, modifiers or name`},
	{"queues: {a: {regulators: [rate: {per_second: 1, name: a/b}]}}", `line 1, column 55: queues.a.regulators[0].rate.name: name is "a/b"; it takes UTF-8 without a slash`},
	{"queues: {a: {regulators: [rate: {per_second: 1, name: ''}]}}", `line 1, column 55: queues.a.regulators[0].rate.name: it is empty; leave the key out for its default`},
	{"queues: {a: {regulators: [standard_rate: -1]}}", "line 1, column 42: queues.a.regulators[0].standard_rate: per_second: rate: -1 a second, want 0 or 0.001 to 1000000"},
	{"queues: {a: {regulators: [counter: -1]}}", "line 1, column 36: queues.a.regulators[0].counter: limit is -1; it takes 0 to 2147483647"},
	{"queues: {a: {regulators: [counter: 1.5]}}", "line 1, column 36: queues.a.regulators[0].counter: it is 1.5; it takes a whole number"},
	{"queues: {a: {regulators: [standard_counter: x]}}", `line 1, column 45: queues.a.regulators[0].standard_counter: it is "x"; it takes a whole number`},
	{"queues: {a: {regulators: [counter: {increment: 1}]}}", "line 1, column 36: queues.a.regulators[0].counter: the key limit is missing"},
	{"queues: {a: {regulators: [counter: {limit: 1, increment: 2000000}]}}", "line 1, column 58: queues.a.regulators[0].counter.increment: increment is 2000000; it takes 1 to 1000000"},
	{"queues: {a: {regulators: [adaptive: {min: 10, max: 5}]}}", "line 1, column 43: queues.a.regulators[0].adaptive.min: "},
	{"queues: {a: {regulators: [group_rate: db]}}", `line 1, column 27: queues.a.regulators[0]: there is no group rate "db", neither in the file nor in the system`},
	{"queues: {a: {regulators: [named_counter: db]}}", `line 1, column 27: queues.a.regulators[0]: there is no counter "db", neither in the file nor in the system`},
	{"queues: {a: {regulators: [named_counter: {increment: 0}]}}", "line 1, column 42: queues.a.regulators[0].named_counter: the key name is missing\n" +
		"line 1, column 54: queues.a.regulators[0].named_counter.increment: it is 0; leave the key out for its default"},
	{"queues: {a: {regulators: [named_counter: b/c]}}", `line 1, column 27: queues.a.regulators[0]: there is no queue "b", neither in the file nor in the system`},
	{"queues: {a: {regulators: [named_counter: b/c]}, b: {}}", `line 1, column 27: queues.a.regulators[0]: queue "b" has no counter "c"`},
	{"queues: {a: {regulators: [named_counter: b/rate]}, b: {regulators: [rate: 1]}}", `line 1, column 27: queues.a.regulators[0]: queue "b" has no counter "rate"`},
	{"queues: {a: {regulators: [{named_counter: b/counter}, {counter: 1}]}, b: {regulators: [{named_counter: a/counter}, {counter: 1}]}}",
		`line 1, column 88: queues.b.regulators[0]: queue "b" cannot share this counter, whose queue is not made before it; share one of the section counters`},
	{"queues:\n  a:\n    regulators:\n      - rate: 1\n      - counter: {limit: 1, name: rate}", `line 5, column 9: queues.a.regulators[1]: it is "rate", and so is the one in line 4`},
	{"queues: {a: {regulators: [" + strings.Repeat("rate: 1, ", 17) + "]}}", "line 1, column 26: queues.a.regulators: it has 17; it takes at most 16"},

	// Modifiers.
	{"queues: {a: {regulators: [rate: {per_second: 1, modifiers: {cpu: 10}}]}}", "line 1, column 60: queues.a.regulators[0].rate.modifiers: it is a mapping; it takes a list of mappings of sampler, local, remote and remote_by"},
	{"counters: {c: {limit: 1, modifiers: [{local: 101, remote: -1, remote_by: max}]}}", "line 1, column 38: counters.c.modifiers[0]: the key sampler is missing\n" +
		"line 1, column 46: counters.c.modifiers[0].local: local is 101; it takes 0 to 100 percent\n" +
		"line 1, column 59: counters.c.modifiers[0].remote: remote is -1; it takes 0 to 100 percent\n" +
		`line 1, column 74: counters.c.modifiers[0].remote_by: it is "max"; it takes average or highest`},

	// Shared regulators.
	{"group_rates: {a/b: 1}", `line 1, column 15: group_rates."a/b": rate name "a/b": it takes no slash, which is for counters of queues`},
	{"group_rates: {a: {per_second: 1, name: x}}", "line 1, column 34: group_rates.a.name: the key is unknown; it takes per_second, modifiers, clustered, away or local_share"},
	{"counters: {a: {limit: 1, increment: 1}}", "line 1, column 26: counters.a.increment: the key is unknown; it takes limit, modifiers, clustered or away"},
	{"counters: {a: {limit: 1, clustered: 1, away: refuse}}", "line 1, column 37: counters.a.clustered: it is 1; it takes true or false\n" +
		"line 1, column 46: counters.a.away: away is set and clustered is false; it goes with a clustered regulator only"},
	{"group_rates: {a: {per_second: 1, clustered: true, away: no, local_share: 2}}", "line 1, column 15: group_rates.a: clustered is true, and the system is no node of a cluster: call cluster.Join first\n" +
		"line 1, column 57: group_rates.a.away: it is \"no\"; it takes wait or refuse\n" +
		"line 1, column 74: group_rates.a.local_share: local_share is 2; it takes 0 (none) to 1"},
	{"counters: {a: {limit: 1, clustered: true}}", "line 1, column 12: counters.a: clustered is true, and the system is no node of a cluster: call cluster.Join first"},
	{"counters: {a: }", "line 1, column 15: counters.a: it is empty; it takes a whole number"},

	// Samplers.
	{"samplers: {cpu: {}}", "line 1, column 17: samplers.cpu: the key source is missing"},
	{"samplers: {cpu: {source: gpu}}", `line 1, column 26: samplers.cpu.source: it is "gpu"; it takes cpu, memory, heap, scheduler or gc`},
	{"samplers: {cpu: {source: cpu, interval: 1ms}}", "line 1, column 41: samplers.cpu.interval: it is 1ms; it takes 10ms or more"},
	{"samplers: {cpu: {source: cpu, thresholds: [2, 1, x]}}", "line 1, column 47: samplers.cpu.thresholds[1]: it is 1, after 2; it takes a number above it\n" +
		`line 1, column 50: samplers.cpu.thresholds[2]: it is "x"; it takes a number`},
	{"samplers: {cpu: {source: cpu, thresholds: []}}", "line 1, column 43: samplers.cpu.thresholds: it has 0; it takes 1 to 1000 rising numbers"},
	{"samplers: {cpu: {source: cpu, hysteresis: 1, history: 0, missing: -1}}", "line 1, column 43: samplers.cpu.hysteresis: it is 1; it takes a share between 0 and 1, or none\n" +
		"line 1, column 55: samplers.cpu.history: it is 0; leave the key out for its default\n" +
		"line 1, column 67: samplers.cpu.missing: it is -1; it takes 1 or more"},
	{"samplers: {cpu: {source: cpu, history: 100001}}", "line 1, column 40: samplers.cpu.history: it is 100001; it takes 1 to 100000"},
	{"samplers: {" + strings.Repeat("n", 65) + ": {source: cpu}}", "line 1, column 12: samplers.\"" + strings.Repeat("n", 64) + "\": the name has 65 bytes; it takes 1 to 64"},
}

func TestLoadNamesEachLineThatIsWrong(t *testing.T) {
	sys := roomtest.System(t)
	for _, c := range badFiles {
		err := Load(sys, strings.NewReader(c.text))
		require.ErrorIs(t, err, penstock.ErrInvalid, c.text)
		var e *LoadError
		require.ErrorAs(t, err, &e, c.text)
		want := "penstock: invalid configuration:\n" + c.want
		if strings.HasSuffix(want, ": ") { // the rest is another package's
			assert.True(t, strings.HasPrefix(err.Error(), want), "%s\n%v", c.text, err)
			continue
		}
		assert.Equal(t, want, err.Error(), c.text)
	}
	info, err := SystemInfoOf(sys)
	require.NoError(t, err)
	assert.Empty(t, info, "nothing was started")
}

// TestLoadTellsAllAtOnce has a fault in each section.
func TestLoadTellsAllAtOnce(t *testing.T) {
	sys := roomtest.System(t)
	err := Load(sys, strings.NewReader(`samplers:
  cpu: {source: cpu, intervall: 1s}
  good: {source: cpu}
group_rates:
  mail: fast
counters:
  slots: {}
queues:
  good: {}
  api:
    max_tme: 5s
    regulators: [group_rate: sms]
    max_size: zero
default: apo
`))
	var lines []int
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap()[1].(interface{ Unwrap() []error }).Unwrap() {
		var one *LoadError
		require.True(t, errors.As(e, &one))
		lines = append(lines, one.Line)
	}
	assert.Equal(t, []int{2, 5, 7, 11, 12, 13, 14}, lines)
	for _, name := range []string{"good", "api"} {
		_, ok := Get(sys, name)
		assert.False(t, ok, name)
	}
	_, ok := sampler.Get(sys, "good")
	assert.False(t, ok)
}

// TestLoadTakesOfASamplerWhatAddTakes keeps the bounds of a file those of package sampler.
func TestLoadTakesOfASamplerWhatAddTakes(t *testing.T) {
	for _, c := range []struct {
		text string
		cfg  sampler.Config
	}{
		{"interval: 10ms", sampler.Config{Interval: minInterval}},
		{"interval: 9ms", sampler.Config{Interval: minInterval - 1e6}},
		{"history: 100000", sampler.Config{History: maxHistory}},
		{"history: 100001", sampler.Config{History: maxHistory + 1}},
		{"history: -1", sampler.Config{History: -1}},
		{"missing: 1", sampler.Config{Missing: 1}},
		{"missing: -1", sampler.Config{Missing: -1}},
		{"hysteresis: 0.999", sampler.Config{Hysteresis: 0.999}},
		{"hysteresis: 1", sampler.Config{Hysteresis: 1}},
		{"hysteresis: -0.1", sampler.Config{Hysteresis: -0.1}},
		{"thresholds: [-1, 0, 1]", sampler.Config{Thresholds: []float64{-1, 0, 1}}},
		{"thresholds: [1, 1]", sampler.Config{Thresholds: []float64{1, 1}}},
		{"thresholds: [" + numbers(maxThresholds) + "]", sampler.Config{Thresholds: make([]float64, 1)}},
		{"thresholds: [" + numbers(maxThresholds+1) + "]", sampler.Config{Thresholds: make([]float64, maxThresholds+1)}},
	} {
		one, two := roomtest.System(t), roomtest.System(t)
		c.cfg.Source = sampler.GC()
		_, err := sampler.Add(one, "x", c.cfg)
		loaded := Load(two, strings.NewReader("samplers: {x: {source: gc, "+c.text+"}}"))
		assert.Equal(t, err == nil, loaded == nil, "%s: %v, %v", c.text, err, loaded)
	}
	for _, name := range []string{strings.Repeat("n", maxSampler), strings.Repeat("n", maxSampler+1)} {
		_, err := sampler.Add(roomtest.System(t), name, sampler.Config{Source: sampler.GC()})
		loaded := Load(roomtest.System(t), strings.NewReader("samplers: {"+name+": {source: gc}}"))
		assert.Equal(t, err == nil, loaded == nil, "%v, %v", err, loaded)
	}
}

// numbers is n of them, rising.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d, ", i)
	}
	return b.String()
}
