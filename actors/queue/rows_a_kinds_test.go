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

func TestQ18_ALinkedQueueLivesAsLongAsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		ctx, cancel := context.WithCancel(context.Background())
		q, err := AddLinked(ctx, sys, "linked", Config{Regulators: one()})
		require.NoError(t, err)
		_, err = AddLinked(ctx, sys, "linked", Config{})
		assert.ErrorIs(t, err, penstock.ErrExists)
		_, err = AddLinked(ctx, sys, "bad", Config{MaxSize: -5})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		job := ask(t, q, Request{})
		c := newCallers()
		waits(c, q, 3)
		cancel()
		synctest.Wait()
		assert.Equal(t, map[string]int{"closed": 3}, c.Ended())
		_, ok := Get(sys, "linked")
		assert.False(t, ok)
		job.Done()
		assert.Zero(t, used(q, 0))
		_, err = AddLinked(ctx, sys, "late", Config{})
		assert.ErrorIs(t, err, context.Canceled)
		_, ok = Get(sys, "late")
		assert.False(t, ok)
	})
}

// TestQ18_TheContextOfADeletedQueueDoesNotEndItsSuccessor: only its own.
func TestQ18_TheContextOfADeletedQueueDoesNotEndItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		ctx, cancel := context.WithCancel(context.Background())
		_, err := AddLinked(ctx, sys, "name", Config{})
		require.NoError(t, err)
		require.True(t, Delete(sys, "name"))
		successor := addQueue(t, sys, "name", Config{})
		cancel()
		synctest.Wait()
		found, ok := Get(sys, "name")
		require.True(t, ok)
		assert.Same(t, successor, found)
		other, end := context.WithCancel(context.Background())
		_, err = AddLinked(other, sys, "open", Config{})
		require.NoError(t, err)
		require.NoError(t, sys.Close(context.Background()))
		end() // after the closing
		synctest.Wait()
	})
}

func TestQ19_InfoTellsOfAQueueAndWhyItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 100}, Counter{Limit: 4, Increment: 2}}, MaxSize: 3, MaxTime: time.Minute, Order: LIFO})
		jobs := []*Job{ask(t, q, Request{})}
		time.Sleep(10 * time.Millisecond)
		jobs = append(jobs, ask(t, q, Request{}))
		time.Sleep(10 * time.Millisecond)
		c := newCallers()
		waits(c, q, 2)
		tick(time.Second)
		waits(c, q, 2)
		info := q.Info()
		assert.Equal(t, "test", info.Name)
		assert.Equal(t, LIFO, info.Order)
		assert.Equal(t, Regulate, info.Action)
		assert.Equal(t, 3, info.Waiting)
		assert.Equal(t, 2, info.Running)
		assert.Equal(t, "counter", info.HeldBy)
		assert.Equal(t, time.Second, info.HeldFor)
		assert.Equal(t, time.Second, info.OldestWait)
		assert.Equal(t, 3, info.MaxSize)
		assert.Equal(t, time.Minute, info.MaxTime)
		assert.Equal(t, map[Reason]uint64{Full: 1}, info.Refused)
		assert.EqualValues(t, 6, info.Asked)
		assert.EqualValues(t, 2, info.Granted)
		require.Len(t, info.Regulators, 2)
		assert.Equal(t, RegulatorInfo{Name: "rate", Kind: "rate", Preset: 100, Limit: 100, Increment: 1, Passed: 2}, info.Regulators[0])
		assert.Equal(t, RegulatorInfo{Name: "counter", Kind: "counter", Preset: 4, Limit: 4, Used: 4, Increment: 2, Passed: 2, Holds: 1}, info.Regulators[1])
		for _, j := range jobs {
			j.Done()
		}
		c.Wait()
		synctest.Wait()
		info = q.Info()
		assert.Empty(t, info.HeldBy)
		assert.Zero(t, info.OldestWait)
		assert.EqualValues(t, 5, info.Done)
		assert.Positive(t, info.JobTime)
	})
}

// TestQ19_HeldByIsTheRegulatorThatHoldsBackNow has the other one hold back too, for a moment at the beginning.
func TestQ19_HeldByIsTheRegulatorThatHoldsBackNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 100}, Counter{Limit: 1}}})
		job := ask(t, q, Request{})
		c := newCallers()
		waits(c, q, 1)
		tick(time.Minute)
		assert.Equal(t, "counter", q.Info().HeldBy, "the rate has had room for a minute")
		job.Done()
		c.Wait()
	})
}

func TestQ19_RatesInAndOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 50}}})
		c := newCallers()
		for range 1000 {
			c.Call(func() error { return q.Run(roomtest.Within(t, time.Minute), Request{}, nothing) })
			time.Sleep(10 * time.Millisecond)
		}
		info := q.Info()
		assert.InDelta(t, 100, info.RateIn, 5)
		assert.InDelta(t, 50, info.RateOut, 2)
		c.Wait()
		tick(time.Minute)
		assert.InDelta(t, 0, q.Info().RateIn, 1)
	})
}

func TestQ19_TheSystemTellsOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddGroupRate(sys, "db", Rate{PerSecond: 10}))
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 3}))
		shared := []Regulator{GroupRate("db"), NamedCounter("slots", 2)}
		a := addQueue(t, sys, "a", Config{Regulators: shared})
		addQueue(t, sys, "b", Config{Regulators: shared, Default: true})
		addQueue(t, sys, "made", Config{Regulators: []Regulator{Rate{PerSecond: 1}}, Producer: Produce(nothing)})
		j := ask(t, a, Request{})
		info, err := SystemInfoOf(sys)
		require.NoError(t, err)
		var names []string
		for _, q := range info.Queues {
			names = append(names, q.Name)
			assert.Equal(t, q.Name == "made", q.Producer != nil)
		}
		assert.ElementsMatch(t, []string{"a", "b", "made"}, names)
		assert.Equal(t, "b", info.Default)
		require.Len(t, info.GroupRates, 1)
		assert.Equal(t, RegulatorInfo{Name: "db", Kind: "rate", Preset: 10, Limit: 10, Passed: 1, Queues: 2}, info.GroupRates[0])
		require.Len(t, info.Counters, 1)
		assert.Equal(t, RegulatorInfo{Name: "slots", Kind: "counter", Preset: 3, Limit: 3, Used: 2, Passed: 1, Queues: 2}, info.Counters[0])
		j.Done()
		_, err = SystemInfoOf(nil)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
	})
}

func TestQ20_AnUnknownQueueIsTheDefaultOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		known := addQueue(t, sys, "known", Config{})
		_, err := Select(sys, "unknown")
		assert.ErrorIs(t, err, penstock.ErrInvalid, "it is opt-in")
		assert.ErrorContains(t, err, `"unknown"`)
		fallback := addQueue(t, sys, "fallback", Config{Default: true})
		_, err = Add(sys, "second", Config{Default: true})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, `"fallback"`)
		_, ok := Get(sys, "second")
		assert.False(t, ok)
		for name, want := range map[string]*Queue{"": fallback, "unknown": fallback, "fallback": fallback, "known": known} {
			q, err := Select(sys, name)
			require.NoError(t, err)
			assert.Same(t, want, q, name)
		}
		require.True(t, Delete(sys, "fallback"))
		_, err = Select(sys, "unknown")
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		second := addQueue(t, sys, "second", Config{Default: true})
		q, err := Select(sys, "unknown")
		require.NoError(t, err)
		assert.Same(t, second, q)
	})
}

func TestQ24_StandardRegulatorsGiveWayByTenPercentALevel(t *testing.T) {
	ten := []Modifier{{Sampler: "cpu", Local: 10}, {Sampler: "memory", Local: 10}}
	assert.Equal(t, Rate{PerSecond: 50, Modifiers: ten}, StandardRate(50))
	assert.Equal(t, Counter{Limit: 20, Modifiers: ten}, StandardCounter(20))
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		var load [2]atomic.Int64
		for i, name := range []string{"cpu", "memory"} {
			_, err := sampler.Add(sys, name, sampler.Config{Thresholds: []float64{1, 2, 3, 4, 5, 6, 7, 8}, Hysteresis: sampler.NoHysteresis,
				Source: sampler.SourceFunc(func(context.Context) (float64, error) { return float64(load[i].Load()), nil })})
			require.NoError(t, err)
		}
		q := addQueue(t, sys, "q", Config{Regulators: []Regulator{StandardRate(50), StandardCounter(20)}})
		for _, c := range []struct {
			cpu, memory   int64
			rate, counter float64
		}{{0, 0, 50, 20}, {1, 0, 45, 18}, {2, 1, 35, 14}, {5, 5, 0, 0}, {8, 8, 0, 0}, {0, 3, 35, 14}, {0, 0, 50, 20}} {
			load[0].Store(c.cpu)
			load[1].Store(c.memory)
			tick(1500 * time.Millisecond)
			info := q.Info()
			assert.InDelta(t, c.rate, info.Regulators[0].Limit, 1e-9, "%+v", c)
			assert.InDelta(t, c.counter, info.Regulators[1].Limit, 1e-9, "%+v", c)
			assert.Equal(t, 50.0, info.Regulators[0].Preset)
		}
		load[0].Store(2)
		tick(1500 * time.Millisecond)
		late := addQueue(t, sys, "late", Config{Regulators: []Regulator{StandardCounter(20)}})
		assert.Equal(t, 16.0, late.Info().Regulators[0].Limit, "one that is added under load has it from the beginning")
	})
}

func TestQ25_ChangesSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 50}))
		require.NoError(t, AddGroupRate(sys, "rate", Rate{PerSecond: 1000}))
		q := addQueue(t, sys, "q", Config{Regulators: []Regulator{Counter{Limit: 1}, NamedCounter("slots", 1), GroupRate("rate")}, Default: true})
		require.NoError(t, q.SetRegulator("counter", Counter{Limit: 2}))
		require.NoError(t, q.SetMaxSize(3))
		require.NoError(t, q.SetMaxTime(time.Hour))
		require.NoError(t, q.SetWeights(map[string]int{"a": 3}))
		require.NoError(t, SetCounter(sys, "slots", Counter{Limit: 40}))
		require.NoError(t, SetGroupRate(sys, "rate", Rate{PerSecond: 500}))
		before := q.Config()
		jobs := []*Job{ask(t, q, Request{})}
		time.Sleep(time.Second)
		jobs = append(jobs, ask(t, q, Request{}))
		c := newCallers()
		waits(c, q, 3)
		for range 3 {
			crash(q)
			tick(time.Minute)
		}
		assert.Zero(t, c.Total(), "who waits goes on waiting, and nothing was refilled")
		assert.Equal(t, before, q.Config())
		info, err := SystemInfoOf(sys)
		require.NoError(t, err)
		assert.Equal(t, 40.0, info.Counters[0].Preset)
		assert.Equal(t, 500.0, info.GroupRates[0].Preset)
		assert.Equal(t, 2, info.Counters[0].Used)
		assert.Equal(t, 3, info.Queues[0].Waiting)
		assert.Equal(t, "q", info.Default)
		waits(c, q, 1)
		assert.Equal(t, map[string]int{"full": 1}, c.Ended())
		for _, j := range jobs {
			j.Done()
		}
		c.Wait()
		assert.Equal(t, map[string]int{"full": 1, "granted": 3}, c.Ended())
		synctest.Wait()
		assert.Zero(t, used(q, 0))
		assert.Zero(t, used(q, 1))
	})
}
