package queue

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// serviceConfigs are testdata/load/service.yaml as Go has it.
func serviceConfigs() map[string]Config {
	return map[string]Config{
		"first": {Regulators: []Regulator{NamedCounter("api/slots", 2)}},
		"api": {
			Regulators: []Regulator{
				Rate{PerSecond: 50, Name: "steady", Modifiers: []Modifier{{Sampler: "cpu", Local: 10}}},
				Counter{Limit: 10, Increment: 2, Name: "slots"},
				AdaptiveLimit{Min: 2, Max: 200, Initial: 30},
				GroupRate("mail"),
				NamedCounter("connections", 0),
			},
			Order: Adaptive, Target: 7 * time.Millisecond, TargetInterval: 150 * time.Millisecond,
			Weights: map[string]int{"paid": 3, "free": 1},
			MaxTime: 90 * time.Second, MaxSize: 500, Default: true,
		},
		"batch": {
			Regulators: []Regulator{StandardRate(5), StandardCounter(2), Counter{Limit: 7}},
			Order:      LIFO, MaxSize: NoWaiting, CheckInterval: 10 * time.Millisecond,
		},
		"closed": {Action: Reject},
		"open":   {Action: Approve},
		"plain":  {},
	}
}

const serviceFile = "testdata/load/service.yaml"

func TestLoadSaysWhatGoSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, LoadFile(sys, serviceFile))
		for name, literal := range serviceConfigs() {
			q, ok := Get(sys, name)
			require.True(t, ok, name)
			assert.Equal(t, newRules(literal).given(), q.Config(), name)
		}
		info, err := SystemInfoOf(sys)
		require.NoError(t, err)
		assert.Equal(t, "api", info.Default)
		assert.Len(t, info.Queues, len(serviceConfigs()))
		presets := make(map[string]float64)
		for _, r := range append(info.GroupRates, info.Counters...) {
			presets[r.Name] = r.Preset
		}
		assert.Equal(t, map[string]float64{"mail": 100, "sms": 2.5, "connections": 20, "disks": 4}, presets)
		cpu, ok := sampler.Get(sys, "cpu")
		require.True(t, ok)
		assert.Equal(t, 2*time.Second, cpu.Info().Interval)
		assert.Equal(t, []float64{0.5, 0.75, 1}, cpu.Info().Thresholds)
		memory, ok := sampler.Get(sys, "memory")
		require.True(t, ok)
		assert.Equal(t, time.Second, memory.Info().Interval)
		assert.Equal(t, sampler.Memory().(interface{ Thresholds() []float64 }).Thresholds(), memory.Info().Thresholds)
	})
}

// TestLoadReadsModifiers looks at what systems do not tell of shared regulators and samplers.
func TestLoadReadsModifiers(t *testing.T) {
	data, err := os.ReadFile(serviceFile)
	require.NoError(t, err)
	var wrong faults
	f := parseFile(data, &wrong)
	require.NoError(t, wrong.err())
	assert.Equal(t, Rate{PerSecond: 2.5, Modifiers: []Modifier{{Sampler: "cpu", Local: 20}}}, f.rates[1].r)
	assert.Equal(t, Counter{Limit: 4, Modifiers: []Modifier{
		{Sampler: "cpu", Local: 10, Remote: 5, RemoteBy: Highest}, {Sampler: "memory", Remote: 1},
	}}, f.counters[1].r)
	assert.Equal(t, sampler.Config{
		Interval: 2 * time.Second, Thresholds: []float64{0.5, 0.75, 1}, Hysteresis: 0.1, History: 20, Missing: 5,
	}, f.samplers[0].cfg)
	assert.Equal(t, "cpu", f.samplers[0].source)
	assert.Equal(t, sampler.Config{Hysteresis: sampler.NoHysteresis}, f.samplers[1].cfg)
}

func TestLoadIsServedByWhatItSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, Load(sys, strings.NewReader("queues: {two: {regulators: [counter: 2], max_size: none}}\ndefault: two")))
		q, err := Select(sys, "whatever")
		require.NoError(t, err)
		first := ask(t, q, Request{})
		ask(t, q, Request{}).Done()
		second := ask(t, q, Request{})
		_, err = q.Ask(t.Context(), Request{})
		assert.ErrorIs(t, err, penstock.ErrFull)
		first.Done()
		second.Done()
	})
}

func TestLoadOfAFileThatCannotBeRead(t *testing.T) {
	sys := roomtest.System(t)
	assert.ErrorIs(t, LoadFile(sys, filepath.Join(t.TempDir(), "none.yaml")), os.ErrNotExist)
	assert.ErrorIs(t, Load(sys, nil), penstock.ErrInvalid)
	assert.ErrorIs(t, Load(nil, strings.NewReader("queues:")), penstock.ErrInvalid)
	torn := errors.New("torn")
	assert.ErrorIs(t, Load(sys, io.MultiReader(strings.NewReader("queues: {a: {}}"), iotest.ErrReader(torn))), torn)
	_, ok := Get(sys, "a")
	assert.False(t, ok)
}

func TestLoadFileNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "service.yaml")
	require.NoError(t, os.WriteFile(name, []byte("queue:"), 0o600))
	err := LoadFile(roomtest.System(t), name)
	assert.ErrorContains(t, err, name+": penstock: invalid configuration:\nline 1, column 1: queue: ")
}

func TestLoadOnAClosedSystem(t *testing.T) {
	fresh, used := roomtest.System(t), roomtest.System(t)
	require.NoError(t, Load(used, strings.NewReader("queues: {a: {}}")))
	for _, sys := range []*penstock.System{fresh, used} {
		require.NoError(t, sys.Close(t.Context()))
		assert.ErrorIs(t, Load(sys, strings.NewReader("queues: {b: {}}")), penstock.ErrClosed)
	}
}

// TestLoadSaysHowFarItCame has somebody else take a name at the last moment.
func TestLoadSaysHowFarItCame(t *testing.T) {
	sys := roomtest.System(t)
	m, err := roomOf(sys)
	require.NoError(t, err)
	var wrong faults
	f := parseFile([]byte("group_rates: {r: 1}\nqueues: {a: {}, b: {}, c: {}}"), &wrong)
	p := planFor(m, new(loads), f, &wrong)
	require.Empty(t, wrong)
	addQueue(t, sys, "b", Config{})
	err = p.apply()
	assert.ErrorIs(t, err, penstock.ErrExists)
	assert.ErrorContains(t, err, `up to, and without, queue "b" (2 of 4 changes)`)
	_, a := Get(sys, "a")
	_, c := Get(sys, "c")
	assert.True(t, a)
	assert.False(t, c)
}

func TestLoadIsBounded(t *testing.T) {
	laughs := "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 9 {
		a, b := string(rune('a'+i)), string(rune('b'+i))
		laughs += b + ": &" + b + " [" + strings.Repeat("*"+a+", ", 9) + "*" + a + "]\n"
	}
	many := maxFile
	if testing.Short() {
		many /= 16
	}
	deep := func(open string) string { return strings.Repeat(open, maxFile/len(open)) }
	for name, text := range map[string]string{
		"too long":       "queues: {}\n" + strings.Repeat("#", maxFile),
		"billion laughs": "queues: {q: {regulators: [*j]}}\n" + laughs,
		"deep lists":     deep("["),
		"deep mappings":  deep("{a: "),
		"deep blocks":    deep("- "),
		"many keys":      "queues:\n" + strings.Repeat("  ? \n", many/6),
		"many unknown":   "queues: {q: {" + strings.Repeat("a: 1, ", many/7) + "}}",
		"many faults":    "queues: {q: {regulators: [" + strings.Repeat("1, ", many/4) + "]}}",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Load(roomtest.System(t), strings.NewReader(text))
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, penstock.ErrInvalid, name)
		assert.Less(t, len(err.Error()), 64<<10, name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<30), name)
	}
}

func FuzzLoad(f *testing.F) {
	whole, err := os.ReadFile(serviceFile)
	require.NoError(f, err)
	f.Add(string(whole))
	for _, c := range badFiles {
		f.Add(c.text)
	}
	sys, err := penstock.New()
	require.NoError(f, err)
	f.Cleanup(func() { _ = sys.Close(roomtest.EndedContext()) })
	m, err := roomOf(sys)
	require.NoError(f, err)
	addQueue(f, sys, "api", Config{Regulators: []Regulator{Rate{PerSecond: 1}, Counter{Limit: 1}}, Order: Adaptive})
	breaks := regexp.MustCompile("[\n\r\u0085\u2028\u2029]")
	f.Fuzz(func(t *testing.T, text string) {
		var wrong faults
		file := parseFile([]byte(text), &wrong)
		planFor(m, new(loads), file, &wrong)
		for _, e := range wrong {
			if e.Line < 1 || e.Column < 1 || e.Line > len(breaks.FindAllString(text, -1))+2 || e.Reason == "" {
				t.Fatalf("%+v", e)
			}
		}
		if wrong.err() != nil {
			return
		}
		for _, s := range file.queues { // what the loader lets through Add takes
			if err := errors.Join(checkName("queue", s.name), s.cfg.validate()); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range append(file.rates, file.counters...) {
			if err := checkShared(s.name, s.r); err != nil {
				t.Fatal(err)
			}
		}
	})
}
