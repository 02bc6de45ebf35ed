package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestG1_NeverAboveTheRateInAnySecond(t *testing.T) {
	for _, perSecond := range []float64{0.5, 1, 7.5, 100, 1000} {
		bubble(t, func(t *testing.T) {
			q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: perSecond}}})
			var l ledger
			var c callers
			want := int(10*perSecond) + 1
			start := time.Now()
			for range want {
				c.call(func() error {
					return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(""); return nil })
				})
			}
			c.wg.Wait()
			took := time.Since(start)
			window := time.Second
			if perSecond < 1 {
				window = time.Duration(float64(time.Second) / perSecond)
			}
			assert.LessOrEqual(t, l.worst(window), max(1, int(math.Ceil(perSecond))), "%v a second", perSecond)
			ideal := time.Duration(float64(want-1) / perSecond * float64(time.Second))
			assert.GreaterOrEqual(t, took, ideal-time.Microsecond)
			assert.Less(t, took, ideal+ideal/100, "at least 99 %% is delivered")
		})
	}
}

func TestG1_NeverMoreThanTheCounterAtOnce(t *testing.T) {
	for seed := range seeds() {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			sys := newSystem(t)
			require.NoError(t, AddCounter(sys, "db", Counter{Limit: 7}))
			queues := []*Queue{
				addQueue(t, sys, "a", Config{Regulators: []Regulator{NamedCounter("db", 1), Counter{Limit: 4}}}),
				addQueue(t, sys, "b", Config{Regulators: []Regulator{NamedCounter("db", 3)}, Order: LIFO}),
				addQueue(t, sys, "c", Config{Regulators: []Regulator{GroupRateOf(t, sys, "r", 50), NamedCounter("db", 2)}}),
			}
			takes := []int64{1, 3, 2}
			var used, most, own atomic.Int64
			var c callers
			for range 300 {
				i := rng.IntN(3)
				run, gap := time.Duration(rng.IntN(40))*time.Millisecond, time.Duration(rng.IntN(5))*time.Millisecond
				ctx := context.Background()
				if rng.IntN(4) == 0 {
					ctx = within(t, time.Duration(rng.IntN(50))*time.Millisecond)
				}
				c.call(func() error {
					return queues[i].Run(ctx, Request{}, func(context.Context) error {
						n := used.Add(takes[i])
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						if i == 0 && own.Add(1) > 4 {
							t.Error("more than 4 of the queue's own counter")
						}
						time.Sleep(run)
						if i == 0 {
							own.Add(-1)
						}
						used.Add(-takes[i])
						return nil
					})
				})
				time.Sleep(gap)
				if rng.IntN(40) == 0 {
					crash(queues[rng.IntN(3)])
				}
			}
			c.wg.Wait()
			assert.Equal(t, 300, c.total())
			assert.Empty(t, c.strange)
			assert.LessOrEqual(t, most.Load(), int64(7))
			assert.Greater(t, most.Load(), int64(4), "the counter was not what held them back")
			info, err := SystemInfoOf(sys)
			require.NoError(t, err)
			assert.Zero(t, info.Counters[0].Used, "all came back")
		})
	}
}

// GroupRateOf adds a group rate and returns its regulator.
func GroupRateOf(t testing.TB, sys *penstock.System, name string, perSecond float64) Regulator {
	t.Helper()
	require.NoError(t, AddGroupRate(sys, name, Rate{PerSecond: perSecond}))
	return GroupRate(name)
}

func TestG2_ARestartRefillsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 10}, Counter{Limit: 3}}})
		held := ask(t, q, Request{})
		var l ledger
		var c callers
		for range 30 {
			c.call(func() error {
				return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(""); return nil })
			})
		}
		for range 5 { // as often as a child may fail
			time.Sleep(500 * time.Millisecond)
			crash(q)
		}
		c.wg.Wait()
		assert.Equal(t, 30, c.ended()["granted"], "they waited through it: %v", c.strange)
		assert.LessOrEqual(t, l.worst(time.Second), 10)
		assert.Equal(t, 1, q.Info().Regulators[1].Used, "what the running job holds is still held")
		held.Done()
		assert.Zero(t, q.Info().Regulators[1].Used)
	})
}

func TestG3_GivingUpCostsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 10}}})
		ask(t, q, Request{}).Done()
		var impatient, patient callers
		for i := range 99 { // they all come first, and give up at every moment until their turn
			ctx := within(t, time.Duration(i+1)*time.Millisecond)
			impatient.call(func() error { return q.Run(ctx, Request{Nice: -10}, nothing) })
		}
		synctest.Wait()
		start := time.Now()
		for range 10 {
			patient.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		patient.wg.Wait()
		assert.Equal(t, 10, patient.ended()["granted"])
		assert.Equal(t, time.Second, time.Since(start), "those who gave up have spent nothing")
		impatient.wg.Wait()
		assert.Equal(t, 99, impatient.ended()["gave up"])
		synctest.Wait()
		assert.EqualValues(t, 99, q.Info().GaveUp)
	})
}

// TestG3_AGrantThatCrossesWithGivingUpIsGivenBack has callers give up after they were let go and before they know.
func TestG3_AGrantThatCrossesWithGivingUpIsGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}}, deterministic())
		gaveUp := 0
		for range 500 {
			first := ask(t, q, Request{})
			ctx, cancel := context.WithCancel(context.Background())
			var c callers
			c.call(func() error { return q.Run(ctx, Request{}, nothing) })
			synctest.Wait()
			first.Done() // gives the second its turn, on this goroutine
			cancel()
			c.wg.Wait()
			gaveUp += c.ended()["gave up"]
			require.Zero(t, q.Info().Regulators[0].Used)
			require.Zero(t, q.Info().Running)
		}
		assert.NotZero(t, gaveUp, "nobody gave up between their turn and hearing of it")
	})
}

func TestG4_BeingGivenUpIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}})
		held := ask(t, q, Request{})
		var c callers
		for range 5 {
			c.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		synctest.Wait()
		for range 6 { // one more than a child may fail
			crash(q)
			time.Sleep(time.Second)
		}
		c.wg.Wait()
		assert.Equal(t, map[string]int{"given up": 5}, c.ended())
		c.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		synctest.Wait()
		held.Done()
		c.wg.Wait()
		assert.Equal(t, 1, c.ended()["granted"], "the next use starts the actor again, with what is held still held")
	})
}

func TestG4_CloseAnswersEveryone(t *testing.T) {
	for _, patience := range []time.Duration{0, 2500 * time.Millisecond, time.Hour} {
		bubble(t, func(t *testing.T) {
			sys := newSystem(t)
			q := addQueue(t, sys, "test", Config{Regulators: []Regulator{Rate{PerSecond: 10}}})
			var c callers
			for range 41 {
				c.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
			}
			synctest.Wait()
			err := sys.Close(within(t, patience))
			c.wg.Wait()
			assert.Equal(t, 41, c.total())
			if patience == time.Hour {
				assert.NoError(t, err)
				assert.Equal(t, 41, c.ended()["granted"])
			} else {
				assert.ErrorContains(t, err, "cut short")
				assert.Equal(t, 41-c.ended()["granted"], c.ended()["closed"])
				assert.InDelta(t, 1+patience.Seconds()*10, c.ended()["granted"], 1)
			}
			assert.ErrorIs(t, q.Run(context.Background(), Request{}, nothing), penstock.ErrClosed)
			_, err = Add(sys, "late", Config{})
			assert.ErrorIs(t, err, penstock.ErrClosed)
		})
	}
}

// TestG4_APanicInTheMiddleOfAGrantIsAnswered leaves the actor as a panic between deciding and letting go would.
func TestG4_APanicInTheMiddleOfAGrantIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}})
		g := &q.entry.Value
		w := q.room.waiterFor(&Request{Cost: 1}, time.Time{})
		q.room.crowd.Enter()
		g.lock()
		require.NoError(t, g.state.admit(time.Now(), &w.item))
		require.True(t, w.decide(answered))
		(&queueActor{entry: q.entry, inHand: w}).tell()
		assert.ErrorIs(t, <-w.reply, errInterrupted)
		assert.Zero(t, q.Info().Waiting)
		assert.Zero(t, q.room.crowd.Len())
		ask(t, q, Request{}).Done()
	})
}

func TestG5_WaitingIsBoundedAndRefusedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}, MaxSize: 100})
		held := ask(t, q, Request{})
		var c callers
		start := time.Now()
		for range 1100 { // ten times what may wait
			c.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		synctest.Wait()
		assert.Equal(t, 1000, c.ended()["full"])
		assert.Zero(t, time.Since(start), "at once")
		assert.Equal(t, 100, q.Info().Waiting)
		err := q.Run(context.Background(), Request{}, nothing)
		var full *RefusedError
		require.ErrorAs(t, err, &full)
		assert.ErrorIs(t, err, penstock.ErrFull)
		assert.Equal(t, RefusedError{Queue: "test", Reason: Full, Waiting: 100, Regulator: "counter"}, *full)
		held.Done()
		c.wg.Wait()
		assert.Equal(t, 100, c.ended()["granted"])
	})
}

func TestG5_TheHeapStaysFlatUnderOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a longer overload")
	}
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 10}}, MaxSize: 100, Order: Adaptive})
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		n := 0
		overload := func(seconds int) {
			for range seconds * 10 {
				var c callers
				for range 100 { // a hundred times what the rate lets through, of flows never seen before
					n++
					flow := fmt.Sprint("flow-", n)
					c.call(func() error {
						ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
						defer cancel()
						return q.Run(ctx, Request{Flow: flow}, nothing)
					})
				}
				time.Sleep(100 * time.Millisecond)
				c.wg.Wait()
			}
		}
		overload(5)
		before := heap()
		overload(30)
		after := heap()
		assert.Less(t, after, before+before/5+1<<20)
	})
}

func TestG6_CloseLeavesNothing(t *testing.T) { // a goroutine or timer left behind fails the bubble
	bubble(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		require.NoError(t, AddCounter(sys, "db", Counter{Limit: 2}))
		var c callers
		for i := range 20 {
			q := addQueue(t, sys, fmt.Sprint("q", i), Config{Regulators: []Regulator{NamedCounter("db", 1), Rate{PerSecond: 5}}})
			for range 20 {
				c.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
			}
		}
		addQueue(t, sys, "producing", Config{
			Regulators: []Regulator{Counter{Limit: 3}, Rate{PerSecond: 100}},
			Producer:   Produce(func(ctx context.Context) error { time.Sleep(50 * time.Millisecond); return nil }),
		})
		time.Sleep(500 * time.Millisecond)
		for range 3 { // under load, several times at once
			c.call(func() error { return sys.Close(within(t, time.Second)) })
		}
		c.wg.Wait()
		assert.Equal(t, 403, c.total())
		_, ok := Get(sys, "q1")
		assert.False(t, ok)
	})
}

func TestG6_NoTimerOutlivesItsActor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		q := addQueue(t, sys, "test", Config{Regulators: []Regulator{Rate{PerSecond: 0.001}}})
		ask(t, q, Request{}).Done()
		var c callers
		c.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		synctest.Wait()
		require.True(t, Delete(sys, "test"))
		c.wg.Wait()
		assert.Equal(t, 1, c.ended()["closed"])
		synctest.Wait()
		used := q.entry.LastUsed()
		time.Sleep(2 * time.Hour)
		assert.Equal(t, used, q.entry.LastUsed(), "something was sent to the queue after it was deleted")
	})
}

func TestG7_TheMoreUrgentGoesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}})
		held := ask(t, q, Request{})
		var c callers
		var l ledger
		for i, nice := range []int{5, 5, -3, 0, 5, -3, -20, 19} {
			c.call(func() error {
				return q.Run(context.Background(), Request{Nice: nice}, func(context.Context) error { l.add(fmt.Sprint(i)); return nil })
			})
			synctest.Wait() // one after the other
		}
		held.Done()
		c.wg.Wait()
		assert.Equal(t, []string{"6", "2", "5", "3", "0", "1", "4", "7"}, l.labels)
	})
}

func TestG12_EverythingAtOnce(t *testing.T) {
	sys := newSystem(t)
	require.NoError(t, AddCounter(sys, "db", Counter{Limit: 3}))
	require.NoError(t, AddGroupRate(sys, "api", Rate{PerSecond: 100_000}))
	q := addQueue(t, sys, "a", Config{Regulators: []Regulator{Counter{Limit: 4}, AdaptiveLimit{}}, MaxSize: 50, Order: Adaptive})
	p := addQueue(t, sys, "b", Config{Regulators: []Regulator{NamedCounter("db", 1), GroupRate("api"), NamedCounter("a/counter", 1)}})
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	var c callers
	for i := range 8 {
		c.call(func() error {
			for n := range rounds {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%7)*time.Millisecond+time.Microsecond)
				target := q
				if (n+i)%2 == 0 {
					target = p
				}
				err := target.Run(ctx, Request{Flow: fmt.Sprint(i)}, func(context.Context) error { runtime.Gosched(); return nil })
				cancel()
				if e := ending(err); e == "other" {
					return err
				}
			}
			return nil
		})
	}
	c.call(func() error {
		for n := range rounds / 3 {
			err := errors.Join(
				SetCounter(sys, "db", Counter{Limit: 1 + n%4}),
				SetGroupRate(sys, "api", Rate{PerSecond: float64(50_000 + n)}),
				q.SetMaxSize(10+n%40), q.SetMaxTime(time.Duration(1+n%3)*time.Second), q.SetWeights(map[string]int{"1": 1 + n%3}),
				q.SetRegulator("counter", Counter{Limit: 2 + n%4}),
			)
			if err != nil {
				return err
			}
			_, err = SystemInfoOf(sys)
			if err != nil {
				return err
			}
			_ = q.Info()
			crashed := n%40 == 39
			if crashed {
				crash(p)
			}
		}
		return nil
	})
	c.wg.Wait()
	assert.Equal(t, map[string]int{"granted": 9}, c.ended(), "%v", c.strange)
	require.NoError(t, sys.Close(context.Background()))
}

func TestG3_WhoGaveUpKeepsNoPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}, MaxSize: 2})
		held := ask(t, q, Request{})
		var impatient, patient callers
		for range 2 {
			impatient.call(func() error { return q.Run(within(t, time.Second), Request{}, nothing) })
		}
		impatient.wg.Wait()
		assert.Equal(t, 2, impatient.ended()["gave up"])
		synctest.Wait()
		assert.Zero(t, q.Info().Waiting)
		for range 2 {
			patient.call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		synctest.Wait()
		assert.Equal(t, 2, q.Info().Waiting, "their places are free again: %v", patient.ended())
		held.Done()
		patient.wg.Wait()
		assert.Equal(t, 2, patient.ended()["granted"])
	})
}

func TestG6_ClosingEndsTheProducing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		var jobs atomic.Int64
		q := addQueue(t, sys, "producing", Config{
			Regulators: []Regulator{Rate{PerSecond: 10}},
			Producer:   Produce(func(context.Context) error { time.Sleep(300 * time.Millisecond); jobs.Add(1); return nil }),
		})
		time.Sleep(time.Second)
		assert.InDelta(t, 3, q.Info().Running, 1)
		start := time.Now()
		require.NoError(t, sys.Close(within(t, time.Minute)))
		assert.LessOrEqual(t, time.Since(start), 300*time.Millisecond, "it waits for the jobs that run, and no more come")
		assert.InDelta(t, 11, jobs.Load(), 1)
	})
}
