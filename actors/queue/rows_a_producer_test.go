package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// tick lets d of virtual time pass, and what happens meanwhile come to rest.
func tick(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestQ14_AStatelessProducerMakesJobsAsFastAsTheRegulatorsAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		q := newQueue(t, Config{
			Regulators: []Regulator{Rate{PerSecond: 10}},
			Producer:   Produce(func(context.Context) error { l.add(""); return nil }),
		})
		tick(10 * time.Second)
		assert.InDelta(t, 100, len(l.labels), 1)
		assert.LessOrEqual(t, l.worst(time.Second), 10)
		_, err := q.Ask(context.Background(), Request{})
		assert.ErrorIs(t, err, penstock.ErrInvalid, "it takes no requests")
		require.NoError(t, q.SetRegulator("rate", Rate{PerSecond: 0}))
		tick(time.Second)
		before := len(l.labels)
		tick(time.Hour)
		assert.Len(t, l.labels, before)
		require.NoError(t, q.SetRegulator("rate", Rate{PerSecond: 1}))
		tick(10 * time.Second)
		assert.InDelta(t, 10, len(l.labels)-before, 1)
		info := q.Info()
		assert.True(t, info.Producer.Producing)
		assert.EqualValues(t, len(l.labels), info.Producer.Done)
		assert.Zero(t, info.Running)
	})
}

func TestQ14_JobsOfAProducerRunAtOnceUpToTheCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, done atomic.Int64
		sys := roomtest.System(t)
		addQueue(t, sys, "q", Config{Regulators: []Regulator{Counter{Limit: 4}}, Producer: Produce(func(context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			done.Add(1)
			return nil
		})})
		tick(10*time.Second + time.Millisecond)
		assert.EqualValues(t, 4, most.Load())
		assert.EqualValues(t, 40, done.Load())
		require.NoError(t, sys.Close(context.Background()), "a closing waits for its jobs")
		assert.Zero(t, running.Load())
	})
}

func TestQ14_AStatefulProducerEndsWhenItIsExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		q := newQueue(t, Config{
			Regulators: []Regulator{Rate{PerSecond: 10}, Counter{Limit: 3}},
			Producer: ProduceFrom(1, func(_ context.Context, n int) (func(context.Context) error, int, error) {
				if n > 5 {
					return nil, n, ErrExhausted
				}
				return func(context.Context) error { l.add(fmt.Sprint(n)); return nil }, n + 1, nil
			}),
		})
		tick(time.Minute)
		assert.Equal(t, []string{"1", "2", "3", "4", "5"}, l.labels)
		info := q.Info()
		assert.False(t, info.Producer.Producing)
		assert.Zero(t, info.Waiting)
		assert.Zero(t, info.Running)
		assert.Zero(t, info.Regulators[1].Used, "the turn for which there was no job was given back")
		assert.EqualValues(t, 5, info.Granted)
	})
}

func TestQ14_AProducerThatFailsIsTriedAgainWithItsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		calls := 0
		q := newQueue(t, Config{
			Regulators: []Regulator{Counter{Limit: 1}},
			Producer: ProduceFrom(0, func(_ context.Context, n int) (func(context.Context) error, int, error) {
				calls++
				switch calls % 4 {
				case 1:
					return nil, 100, errors.New("boom")
				case 2:
					panic("boom")
				case 3:
					return nil, n, nil // neither a job nor an error
				}
				return func(context.Context) error { l.add(fmt.Sprint(n)); panic("so do its jobs") }, n + 1, nil
			}),
		})
		start := time.Now()
		tick(9500 * time.Millisecond)
		assert.Equal(t, []string{"0", "1", "2"}, l.labels)
		assert.Equal(t, 3*time.Second, l.turns[0].At.Sub(start), "a second after each failure")
		info := q.Info()
		assert.EqualValues(t, 3, info.Producer.Failed)
		assert.LessOrEqual(t, info.Regulators[0].Used, 1)
	})
}

func TestQ14_ProducersStopWithTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 3}))
		var begun, over atomic.Int64
		cfg := Config{Regulators: []Regulator{NamedCounter("slots", 1)}, Producer: Produce(func(context.Context) error {
			begun.Add(1)
			time.Sleep(time.Second)
			over.Add(1)
			return nil
		})}
		q := addQueue(t, sys, "made", cfg)
		tick(500 * time.Millisecond)
		require.True(t, Delete(sys, "made"))
		tick(time.Hour)
		assert.EqualValues(t, 3, begun.Load())
		assert.EqualValues(t, 3, over.Load(), "jobs that run go on")
		assert.False(t, q.Info().Producer.Producing)
		next := addQueue(t, sys, "next", Config{Regulators: []Regulator{NamedCounter("slots", 3)}})
		ask(t, next, Request{}).Done()
		addQueue(t, sys, "made", cfg)
		tick(500 * time.Millisecond)
		require.NoError(t, sys.Close(context.Background()))
		assert.EqualValues(t, over.Load(), begun.Load(), "a closing waits for its jobs")
	})
}

func TestQ14_AProducerGoesOnAfterItsActorFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 1}}, Producer: ProduceFrom(0,
			func(_ context.Context, n int) (func(context.Context) error, int, error) {
				return func(context.Context) error { l.add(fmt.Sprint(n)); return nil }, n + 1, nil
			})})
		tick(2500 * time.Millisecond)
		crash(q)
		tick(3 * time.Second)
		assert.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, l.labels)
	})
}

func TestQ14_BadProducers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Add(roomtest.System(t), "x", Config{Producer: Produce(nothing), Action: Approve})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, "Regulators")
		assert.ErrorContains(t, err, "Action")
	})
}

// roundRobin tells each job which of n servers is next.
func roundRobin(n int) Stateful {
	return NewStateful(0, func(at int, _ Request) (int, any) { return (at + 1) % n, fmt.Sprintf("server-%d", at) },
		func(at int, ask any) (int, any, error) {
			switch ask := ask.(type) {
			case int:
				return ask, at, nil
			case error:
				return 77, nil, ask
			case string:
				panic(ask)
			}
			return at, at, nil
		})
}

func TestQ16_StateIsUpdatedAtEachGrantAndToldToTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), Stateful: roundRobin(3)})
		for i := range 7 {
			j := ask(t, q, Request{})
			assert.Equal(t, fmt.Sprintf("server-%d", i%3), j.Info())
			j.Done()
		}
		reply, err := q.Query(context.Background(), nil)
		require.NoError(t, err)
		assert.Equal(t, 1, reply)
		reply, err = q.Query(context.Background(), 2)
		require.NoError(t, err)
		assert.Equal(t, 1, reply)
		boom := errors.New("boom")
		_, err = q.Query(context.Background(), boom)
		assert.ErrorIs(t, err, boom)
		var panicked *penstock.PanicError
		_, err = q.Query(context.Background(), "panic")
		assert.ErrorAs(t, err, &panicked)
		j := ask(t, q, Request{})
		assert.Equal(t, "server-2", j.Info(), "what failed changed nothing")
		j.Done()
		_, err = q.Query(roomtest.EndedContext(), nil)
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestQ16_AStateThatPanicsCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}, Rate{PerSecond: 0.001}}, Stateful: NewStateful("fine", func(s string, r Request) (string, any) {
			if r.Nice == 1 {
				panic("boom")
			}
			return s, s
		}, nil)})
		_, err := q.Ask(context.Background(), Request{Nice: 1})
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.Equal(t, "boom", panicked.Value)
		info := q.Info()
		assert.Zero(t, info.Running)
		assert.Zero(t, info.Regulators[0].Used)
		start := time.Now()
		j := ask(t, q, Request{})
		assert.Zero(t, time.Since(start), "the rate was given back too")
		assert.Equal(t, "fine", j.Info())
		j.Done()
		_, err = q.Query(context.Background(), nil)
		assert.ErrorIs(t, err, penstock.ErrInvalid, "it answers none")
		_, err = newQueue(t, Config{}).Query(context.Background(), nil)
		assert.ErrorIs(t, err, penstock.ErrInvalid, "it keeps no state")
	})
}

func TestQ16_EachQueueHasItsOwnStateAndEachGrantIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		count := NewStateful(0, func(n int, _ Request) (int, any) { return n + 1, n }, func(n int, _ any) (int, any, error) { return n, n, nil })
		a := addQueue(t, sys, "a", Config{Regulators: []Regulator{Counter{Limit: 3}}, Stateful: count})
		b := addQueue(t, sys, "b", Config{Stateful: count})
		c := newCallers()
		var mu sync.Mutex
		seen := make(map[int]int)
		for range 100 {
			c.Call(func() error {
				return a.RunJob(context.Background(), Request{}, func(_ context.Context, j *Job) error {
					mu.Lock()
					seen[j.Info().(int)]++
					mu.Unlock()
					time.Sleep(time.Second)
					return nil
				})
			})
		}
		c.Wait()
		assert.Len(t, seen, 100)
		crash(a)
		synctest.Wait()
		reply, err := a.Query(context.Background(), nil)
		require.NoError(t, err)
		assert.Equal(t, 100, reply, "a restart keeps it")
		reply, err = b.Query(context.Background(), nil)
		require.NoError(t, err)
		assert.Zero(t, reply)
		require.True(t, Delete(sys, "a"))
		_, err = a.Query(context.Background(), nil)
		assert.ErrorIs(t, err, penstock.ErrClosed)
	})
}
