package queue

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestQ4_ARateIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 1000}}})
		var l ledger
		c := newCallers()
		var left atomic.Int64
		left.Store(2000)
		start := time.Now()
		for range 64 {
			c.Call(func() error {
				for left.Add(-1) >= 0 {
					if err := q.Run(context.Background(), Request{}, func(context.Context) error { l.add(""); return nil }); err != nil {
						return err
					}
				}
				return nil
			})
		}
		c.Wait()
		require.Empty(t, c.Strange())
		assert.InDelta(t, 1.999, time.Since(start).Seconds(), 0.001, "2,000 jobs: the first at once, then one each millisecond")
		assert.LessOrEqual(t, l.worst(time.Second), 1000)
		assert.LessOrEqual(t, l.worst(10*time.Millisecond), 10, "evenly spaced")

		time.Sleep(10 * time.Second) // what an idle queue does not use it does not save up
		start = time.Now()
		for range 11 {
			ask(t, q, Request{}).Done()
		}
		assert.Equal(t, 10*time.Millisecond, time.Since(start))
	})
}

func TestQ4_SeveralRatesHoldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 100}, Rate{PerSecond: 3, Name: "slow"}}})
		start := time.Now()
		for range 7 {
			ask(t, q, Request{}).Done()
		}
		assert.InDelta(t, 2, time.Since(start).Seconds(), 0.001)
		require.NoError(t, q.SetRegulator("slow", Rate{PerSecond: 1000}))
		start = time.Now()
		for range 100 {
			ask(t, q, Request{}).Done()
		}
		assert.InDelta(t, 1, time.Since(start).Seconds(), 0.35)
	})
}

// dial is a sampler's source that a test turns.
type dial struct{ value atomic.Int64 }

func (d *dial) Sample(context.Context) (float64, error) { return float64(d.value.Load()), nil }

// addDial adds a sampler whose level is what its dial shows.
func addDial(t testing.TB, sys *penstock.System, name string) *dial {
	t.Helper()
	d := new(dial)
	_, err := sampler.Add(sys, name, sampler.Config{Source: d, Interval: 100 * time.Millisecond, Thresholds: []float64{1, 2, 3, 4}})
	require.NoError(t, err)
	return d
}

// turn sets a dial and waits until it has been seen.
func (d *dial) turn(level int64) {
	d.value.Store(level)
	time.Sleep(time.Second)
	synctest.Wait()
}

func limitOf(t testing.TB, q *Queue, name string) float64 {
	t.Helper()
	for _, r := range q.Info().Regulators {
		if r.Name == name {
			return r.Limit
		}
	}
	t.Fatalf("no regulator %q", name)
	return 0
}

func TestQ22_ModifiersLowerThePresetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		cpu, memory := addDial(t, sys, "cpu"), addDial(t, sys, "memory")
		q := addQueue(t, sys, "test", Config{Regulators: []Regulator{
			Rate{PerSecond: 100, Modifiers: []Modifier{{Sampler: "cpu", Local: 10}, {Sampler: "memory", Local: 5}}},
			Counter{Limit: 10, Modifiers: []Modifier{
				{Sampler: "cpu", Local: 90}, // overruled by the next
				{Sampler: "cpu", Local: 15, Remote: 5},
			}},
			Counter{Limit: 10, Name: "highest", Modifiers: []Modifier{{Sampler: "cpu", Remote: 10, RemoteBy: Highest}}},
			Counter{Limit: 10, Name: "own", Modifiers: []Modifier{{Sampler: "cpu", Func: func(local int, remote map[string]int) int {
				return 30*local + 100*len(remote)
			}}}},
		}})
		assert.EqualValues(t, 100, limitOf(t, q, "rate"))
		cpu.turn(2)
		assert.EqualValues(t, 80, limitOf(t, q, "rate"), "a level of 2 takes 2 × 10 %")
		assert.EqualValues(t, 7, limitOf(t, q, "counter"), "the last modifier of a name wins: 30 %")
		assert.EqualValues(t, 4, limitOf(t, q, "own"))
		memory.turn(3)
		assert.EqualValues(t, 65, limitOf(t, q, "rate"), "corrections add up")
		cpu.turn(1)
		assert.EqualValues(t, 75, limitOf(t, q, "rate"), "always from the preset limit")
		cpu.turn(0)
		memory.turn(0)
		assert.EqualValues(t, 100, limitOf(t, q, "rate"), "0 restores it")
		assert.EqualValues(t, 10, limitOf(t, q, "counter"))

		require.NoError(t, sampler.SetRemote(sys, "n1", map[string]int{"cpu": 1}, time.Minute))
		require.NoError(t, sampler.SetRemote(sys, "n2", map[string]int{"cpu": 4}, time.Minute))
		synctest.Wait()
		assert.EqualValues(t, 8, limitOf(t, q, "counter"), "the average of 1 and 4 takes 12 %, and 8.8 is 8 jobs")
		assert.EqualValues(t, 6, limitOf(t, q, "highest"))
		assert.EqualValues(t, 0, limitOf(t, q, "own"), "never below 0")
		assert.EqualValues(t, 100, q.Info().Regulators[3].Correction)

		late := addQueue(t, sys, "late", Config{Regulators: []Regulator{Counter{Limit: 10, Modifiers: []Modifier{{Sampler: "cpu", Remote: 10, RemoteBy: Highest}}}}})
		assert.EqualValues(t, 6, limitOf(t, late, "counter"), "a queue that is added under load knows of it")
	})
}

func TestQ22_ModifiersReachSharedRegulatorsAndThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		cpu := addDial(t, sys, "cpu")
		mods := []Modifier{{Sampler: "cpu", Local: 50}}
		require.NoError(t, AddCounter(sys, "db", Counter{Limit: 2, Modifiers: mods}))
		require.NoError(t, AddGroupRate(sys, "api", Rate{PerSecond: 10, Modifiers: mods}))
		q := addQueue(t, sys, "test", Config{Regulators: []Regulator{NamedCounter("db", 1)}})
		r := addQueue(t, sys, "rated", Config{Regulators: []Regulator{GroupRate("api")}})
		cpu.turn(2)
		assert.EqualValues(t, 0, limitOf(t, q, "named counter db"))
		assert.EqualValues(t, 0, limitOf(t, r, "group rate api"))
		c := newCallers()
		for range 2 {
			c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
			c.Call(func() error { return r.Run(context.Background(), Request{}, nothing) })
		}
		time.Sleep(time.Hour)
		assert.Zero(t, c.Total(), "nobody goes with a limit of 0")
		assert.Equal(t, "named counter db", q.Info().HeldBy)
		assert.InDelta(t, time.Hour, q.Info().HeldFor, float64(time.Second))
		assert.InDelta(t, time.Hour, q.Info().OldestWait, float64(time.Second))
		cpu.turn(0)
		c.Wait()
		assert.Equal(t, 4, c.Ended()["granted"], "who waits is let go when the load is over")
		require.NoError(t, SetCounter(sys, "db", Counter{Limit: 8, Modifiers: mods}))
		cpu.turn(1)
		assert.EqualValues(t, 4, limitOf(t, q, "named counter db"), "from what was set last")
	})
}

func TestQ23_ADeadNodesLevelExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		q := addQueue(t, sys, "test", Config{Regulators: []Regulator{
			Counter{Limit: 10, Modifiers: []Modifier{{Sampler: "cpu", Remote: 20, RemoteBy: Highest}}},
		}})
		require.NoError(t, sampler.SetRemote(sys, "n1", map[string]int{"cpu": 3}, 3*time.Second))
		synctest.Wait()
		assert.EqualValues(t, 4, limitOf(t, q, "counter"))
		time.Sleep(2 * time.Second)
		require.NoError(t, sampler.SetRemote(sys, "n1", map[string]int{"cpu": 2}, 3*time.Second))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 6, limitOf(t, q, "counter"), "it lives")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 10, limitOf(t, q, "counter"), "it has not been heard of for 3 s")
		require.NoError(t, sampler.SetRemote(sys, "n2", map[string]int{"cpu": 1}, time.Hour))
		synctest.Wait()
		assert.EqualValues(t, 8, limitOf(t, q, "counter"))
		sampler.ForgetRemote(sys, "n2")
		synctest.Wait()
		assert.EqualValues(t, 10, limitOf(t, q, "counter"))
	})
}
