package queue

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// load loads a file that is good.
func load(t testing.TB, sys *penstock.System, text string) {
	t.Helper()
	require.NoError(t, Load(sys, strings.NewReader(text)))
}

func get(t testing.TB, sys *penstock.System, name string) *Queue {
	t.Helper()
	q, ok := Get(sys, name)
	require.True(t, ok, name)
	return q
}

func TestLoadAgainChangesWhatRunsAddsAndLeavesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		load(t, sys, `
samplers: {gc: {source: gc}}
group_rates: {r: 10}
counters: {c: 5}
queues:
  api: {regulators: [{rate: 10}, {counter: 1}, {group_rate: r}, {named_counter: c}], max_size: 1, max_time: 5s, weights: {a: 2}}
  stays: {regulators: [counter: 3], max_size: 7}
default: api`)
		api, stays := get(t, sys, "api"), get(t, sys, "stays").Config()
		load(t, sys, `
samplers: {gc: {source: gc}, heap: {source: heap}}
group_rates: {r: 20, new: 1}
counters: {c: 6}
queues:
  fresh: {regulators: [group_rate: new]}
  api: {regulators: [{rate: 30}, {counter: {limit: 2, increment: 2}}, {group_rate: r}, {named_counter: c}], max_size: none, action: approve, weights: {b: 3}}
default: api`)
		cfg := api.Config()
		assert.Same(t, api, get(t, sys, "api"))
		assert.Equal(t, NoWaiting, cfg.MaxSize)
		assert.Zero(t, cfg.MaxTime, "a key that was left out has its default again")
		assert.Equal(t, Approve, cfg.Action)
		assert.Equal(t, map[string]int{"b": 3}, cfg.Weights)
		assert.True(t, cfg.Default)
		assert.Equal(t, []Regulator{Rate{PerSecond: 30, Name: "rate"}, Counter{Limit: 2, Increment: 2, Name: "counter"}, GroupRate("r"), NamedCounter("c", 0)}, cfg.Regulators)
		presets := make(map[string]float64)
		for _, r := range api.Info().Regulators {
			presets[r.Name] = r.Preset
		}
		assert.Equal(t, map[string]float64{"rate": 30, "counter": 2, "group rate r": 20, "named counter c": 6}, presets)
		get(t, sys, "fresh")
		assert.Equal(t, stays, get(t, sys, "stays").Config())
		_, ok := sampler.Get(sys, "heap")
		assert.True(t, ok)
	})
}

// TestLoadAgainServesOn has jobs run and requests wait meanwhile.
func TestLoadAgainServesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		load(t, sys, "queues: {q: {regulators: [counter: 1]}}")
		q := get(t, sys, "q")
		first := ask(t, q, Request{})
		c := newCallers()
		for range 5 {
			c.Call(func() error {
				return q.Run(t.Context(), Request{}, func(context.Context) error { time.Sleep(time.Second); return nil })
			})
		}
		synctest.Wait()
		load(t, sys, "queues: {q: {regulators: [counter: 3]}}")
		synctest.Wait()
		assert.Equal(t, 3, q.Info().Running)
		assert.Equal(t, 3, q.Info().Waiting)
		load(t, sys, "queues: {q: {regulators: [counter: 3], action: reject}}")
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 2, "rejected": 3}, c.Ended())
		first.Done()
		assert.Zero(t, q.Info().Regulators[0].Used)
	})
}

func TestLoadAgainOfTheSameLeavesAllAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, LoadFile(sys, serviceFile))
		before := make(map[string]*rules)
		for name := range serviceConfigs() {
			before[name] = get(t, sys, name).entry.Value.state.rules
		}
		require.NoError(t, LoadFile(sys, serviceFile))
		for name, rules := range before {
			assert.Same(t, rules, get(t, sys, name).entry.Value.state.rules, name)
		}
	})
}

func TestLoadAgainRefusesWhatCannotChangeAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		const file = `samplers: {gc: {source: gc}}
counters: {c: 5}
group_rates: {r: 1}
queues:
  a:
    regulators: [{rate: 1}, {named_counter: c}]
    order: adaptive
    target: 5ms
    check_interval: 1s
    max_size: 5
  b: {}
default: a
`
		load(t, sys, file)
		const deleted = " and cannot be changed at run time; the queue must be deleted first"
		for _, c := range []struct{ from, to, want string }{
			{"order: adaptive\n    target: 5ms", "order: lifo", "line 7, column 12: queues.a.order: it is adaptive now," + deleted},
			{"    order: adaptive\n    target: 5ms\n", "", "line 5, column 3: queues.a.order: it is adaptive now," + deleted},
			{"target: 5ms", "target: 6ms", "line 8, column 13: queues.a.target: it is 5ms now," + deleted},
			{"target: 5ms", "target_interval: 1s", "line 8, column 22: queues.a.target_interval: it is 100ms now," + deleted},
			{"check_interval: 1s", "check_interval: 2s", "line 9, column 21: queues.a.check_interval: it is 1s now," + deleted},
			{"    check_interval: 1s\n", "", "line 5, column 3: queues.a.check_interval: it is 1s now," + deleted},
			{"{rate: 1}, ", "", `line 6, column 17: queues.a.regulators: it is [rate, named counter "c" (increment 1)] now,` + deleted},
			{"rate: 1}", "counter: {limit: 1, name: rate}}", `line 6, column 17: queues.a.regulators: it is [rate, named counter "c" (increment 1)] now,` + deleted},
			{"rate: 1}", "rate: {per_second: 1, name: steady}}", `line 6, column 17: queues.a.regulators: it is [rate, named counter "c" (increment 1)] now,` + deleted},
			{"named_counter: c", "named_counter: {name: c, increment: 2}", `line 6, column 17: queues.a.regulators: it is [rate, named counter "c" (increment 1)] now,` + deleted},
			{"named_counter: c", "group_rate: r", `line 6, column 17: queues.a.regulators: it is [rate, named counter "c" (increment 1)] now,` + deleted},
			{"default: a", "default: b", `line 13, column 10: default: it is "a" now, and cannot be changed at run time; that queue must be deleted first`},
			{"{source: gc}", "{source: gc, interval: 2s}", "line 1, column 12: samplers.gc: the sampler is there, with another configuration, and cannot be changed at run time; it must be deleted first"},
		} {
			changed := strings.Replace(file, c.from, c.to, 1)
			require.NotEqual(t, file, changed)
			changed = strings.Replace(changed, "b: {}", "b: {max_size: 9}\n  new: {}", 1)
			changed = strings.Replace(changed, "{c: 5}", "{c: 6}", 1)
			changed = strings.Replace(changed, "{r: 1}", "{r: 2}", 1)
			err := Load(sys, strings.NewReader(changed))
			require.ErrorIs(t, err, penstock.ErrInvalid, changed)
			assert.Equal(t, c.want, lineOf(err), changed)
			assert.Equal(t, 10_000, get(t, sys, "b").Config().MaxSize)
			assert.Equal(t, 5.0, get(t, sys, "a").Info().Regulators[1].Preset)
			_, ok := Get(sys, "new")
			assert.False(t, ok)
		}
		load(t, sys, file)
		require.True(t, Delete(sys, "a"))
		load(t, sys, strings.Replace(file, "order: adaptive\n    target: 5ms", "order: lifo", 1))
		assert.Equal(t, LIFO, get(t, sys, "a").Config().Order, "once it was deleted it can be another")
		require.True(t, sampler.Delete(sys, "gc"))
		load(t, sys, "samplers: {gc: {source: gc, interval: 2s}}")
	})
}

// lineOf is what is left of an error of Load when its head is off.
func lineOf(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSpace(rest)
}

// TestLoadOverWhatCodeAdded keeps what no file says: producers, behaviours, state.
func TestLoadOverWhatCodeAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		addQueue(t, sys, "produced", Config{Regulators: []Regulator{Rate{PerSecond: 1}}, Producer: Produce(nothing)})
		addQueue(t, sys, "behaves", Config{Behavior: func() Behavior[Ticket] { return NewLine[Ticket](LineConfig{Order: LIFO}) }})
		addQueue(t, sys, "plain", Config{})
		require.NoError(t, AddGroupRate(sys, "r", Rate{PerSecond: 1}))
		require.NoError(t, AddCounter(sys, "c", Counter{Limit: 1}))
		_, err := sampler.Add(sys, "cpu", sampler.Config{Source: sampler.CPU()})
		require.NoError(t, err)
		load(t, sys, "queues: {produced: {regulators: [rate: 5]}, behaves: {max_size: 3}, new: {regulators: [{group_rate: r}, {named_counter: c}]}}")
		assert.NotNil(t, get(t, sys, "produced").Config().Producer)
		assert.Equal(t, 5.0, get(t, sys, "produced").Info().Regulators[0].Preset)
		assert.NotNil(t, get(t, sys, "behaves").Config().Behavior)
		for text, want := range map[string]string{
			"queues: {produced: {regulators: [rate: 5], action: reject}}": "line 1, column 52: queues.produced.action: producer is set and action is reject; it takes regulate",
			"queues: {behaves: {weights: {a: 1}}}":                        "line 1, column 29: queues.behaves.weights: behavior is set, and so is order or weights; the behavior decides what goes first",
			"samplers: {cpu: {source: cpu}}":                              "line 1, column 12: samplers.cpu: the sampler is there, with another configuration, and cannot be changed at run time; it must be deleted first",
			"default: plain":                                              `line 1, column 10: default: queue "plain" is there and is not the default one, which cannot be changed at run time; it must be deleted first`,
		} {
			err := Load(sys, strings.NewReader(text))
			require.ErrorIs(t, err, penstock.ErrInvalid, text)
			assert.Equal(t, want, lineOf(err))
		}
	})
}

// TestLoadAgainLeavesAnAdaptiveLimitWhereItHasCome: to set one begins it anew.
func TestLoadAgainLeavesAnAdaptiveLimitWhereItHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		const file = "queues: {q: {regulators: [adaptive: {initial: 10, max: 50}]}}"
		load(t, sys, file)
		q := get(t, sys, "q")
		acct := q.entry.Value.state.regs[0].acct
		learned := acct.adaptive
		load(t, sys, file)
		assert.Same(t, learned, acct.adaptive)
		load(t, sys, "queues: {q: {regulators: [adaptive: {initial: 3, max: 5}]}}")
		assert.LessOrEqual(t, q.Info().Regulators[0].Limit, 5.0)
	})
}
