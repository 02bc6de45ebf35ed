package queue

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestG1_NeverAboveTheRateInAnySecond(t *testing.T) {
	for _, perSecond := range []float64{0.5, 1, 7.5, 100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: perSecond}}})
			var l ledger
			c := newCallers()
			want := int(10*perSecond) + 1
			start := time.Now()
			for range want {
				c.Call(func() error {
					return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(""); return nil })
				})
			}
			c.Wait()
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
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			sys := roomtest.System(t)
			require.NoError(t, AddCounter(sys, "db", Counter{Limit: 7}))
			queues := []*Queue{
				addQueue(t, sys, "a", Config{Regulators: []Regulator{NamedCounter("db", 1), Counter{Limit: 4}}}),
				addQueue(t, sys, "b", Config{Regulators: []Regulator{NamedCounter("db", 3)}, Order: LIFO}),
				addQueue(t, sys, "c", Config{Regulators: []Regulator{GroupRateOf(t, sys, "r", 50), NamedCounter("db", 2)}}),
			}
			takes := []int64{1, 3, 2}
			var used, most, own atomic.Int64
			c := newCallers()
			for range 300 {
				i := rng.IntN(3)
				run, gap := time.Duration(rng.IntN(40))*time.Millisecond, time.Duration(rng.IntN(5))*time.Millisecond
				ctx := context.Background()
				if rng.IntN(4) == 0 {
					ctx = roomtest.Within(t, time.Duration(rng.IntN(50))*time.Millisecond)
				}
				c.Call(func() error {
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
			c.Wait()
			assert.Equal(t, 300, c.Total())
			assert.Empty(t, c.Strange())
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
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 10}, Counter{Limit: 3}}})
		held := ask(t, q, Request{})
		var l ledger
		c := newCallers()
		for range 30 {
			c.Call(func() error {
				return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(""); return nil })
			})
		}
		for range 5 { // as often as a child may fail
			time.Sleep(500 * time.Millisecond)
			crash(q)
		}
		c.Wait()
		assert.Equal(t, 30, c.Ended()["granted"], "they waited through it: %v", c.Strange())
		assert.LessOrEqual(t, l.worst(time.Second), 10)
		assert.Equal(t, 1, q.Info().Regulators[1].Used, "what the running job holds is still held")
		held.Done()
		assert.Zero(t, q.Info().Regulators[1].Used)
	})
}

func TestG3_GivingUpCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 10}}})
		ask(t, q, Request{}).Done()
		impatient, patient := newCallers(), newCallers()
		for i := range 99 { // they all come first, and give up at every moment until their turn
			ctx := roomtest.Within(t, time.Duration(i+1)*time.Millisecond)
			impatient.Call(func() error { return q.Run(ctx, Request{Nice: -10}, nothing) })
		}
		synctest.Wait()
		start := time.Now()
		for range 10 {
			patient.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		patient.Wait()
		assert.Equal(t, 10, patient.Ended()["granted"])
		assert.Equal(t, time.Second, time.Since(start), "those who gave up have spent nothing")
		impatient.Wait()
		assert.Equal(t, 99, impatient.Ended()["gave up"])
		synctest.Wait()
		assert.EqualValues(t, 99, q.Info().GaveUp)
	})
}

// TestG3_AGrantThatCrossesWithGivingUpIsGivenBack has callers give up after they were let go and before they know.
func TestG3_AGrantThatCrossesWithGivingUpIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}}, roomtest.Deterministic())
		gaveUp := 0
		for range 500 {
			first := ask(t, q, Request{})
			ctx, cancel := context.WithCancel(context.Background())
			c := newCallers()
			c.Call(func() error { return q.Run(ctx, Request{}, nothing) })
			synctest.Wait()
			first.Done() // gives the second its turn, on this goroutine
			cancel()
			c.Wait()
			gaveUp += c.Ended()["gave up"]
			require.Zero(t, q.Info().Regulators[0].Used)
			require.Zero(t, q.Info().Running)
		}
		assert.NotZero(t, gaveUp, "nobody gave up between their turn and hearing of it")
	})
}

func TestG3_WhoGaveUpKeepsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}, MaxSize: 2})
		held := ask(t, q, Request{})
		impatient, patient := newCallers(), newCallers()
		for range 2 {
			impatient.Call(func() error { return q.Run(roomtest.Within(t, time.Second), Request{}, nothing) })
		}
		impatient.Wait()
		assert.Equal(t, 2, impatient.Ended()["gave up"])
		synctest.Wait()
		assert.Zero(t, q.Info().Waiting)
		for range 2 {
			patient.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		synctest.Wait()
		assert.Equal(t, 2, q.Info().Waiting, "their places are free again: %v", patient.Ended())
		held.Done()
		patient.Wait()
		assert.Equal(t, 2, patient.Ended()["granted"])
	})
}

func TestG4_BeingGivenUpIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}})
		held := ask(t, q, Request{})
		c := newCallers()
		for range 5 {
			c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		synctest.Wait()
		for range 6 { // one more than a child may fail
			crash(q)
			time.Sleep(time.Second)
		}
		c.Wait()
		assert.Equal(t, map[string]int{"given up": 5}, c.Ended())
		c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		synctest.Wait()
		held.Done()
		c.Wait()
		assert.Equal(t, 1, c.Ended()["granted"], "the next use starts the actor again, with what is held still held")
	})
}

// TestG4_APanicInTheMiddleOfAGrantIsAnswered leaves the actor as a panic between deciding and letting go would.
func TestG4_APanicInTheMiddleOfAGrantIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

func TestG7_TheMoreUrgentGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}})
		held := ask(t, q, Request{})
		c := newCallers()
		var l ledger
		for i, nice := range []int{5, 5, -3, 0, 5, -3, -20, 19} {
			c.Call(func() error {
				return q.Run(context.Background(), Request{Nice: nice}, func(context.Context) error { l.add(fmt.Sprint(i)); return nil })
			})
			synctest.Wait() // one after the other
		}
		held.Done()
		c.Wait()
		assert.Equal(t, []string{"6", "2", "5", "3", "0", "1", "4", "7"}, l.labels)
	})
}
