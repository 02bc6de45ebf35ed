package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// storm is random load on queues that share regulators, with whatever may happen to queues happening to them.
func storm(t *testing.T, seed uint64, sys *penstock.System) {
	rng := rand.New(rand.NewPCG(seed, 2))
	require.NoError(t, AddCounter(sys, "db", Counter{Limit: 5}))
	require.NoError(t, AddGroupRate(sys, "api", Rate{PerSecond: 100}))
	configs := map[string]Config{
		"a": {Regulators: []Regulator{NamedCounter("db", 2), Counter{Limit: 3}}, MaxTime: 200 * time.Millisecond, MaxSize: 30},
		"b": {Regulators: []Regulator{GroupRate("api"), NamedCounter("db", 1)}, Order: LIFO},
		"c": {Regulators: []Regulator{NamedCounter("a/counter", 1), Rate{PerSecond: 60}}, Order: Adaptive, MaxSize: 50},
		"d": {Regulators: []Regulator{GroupRate("api")}, Weights: map[string]int{"x": 3}},
	}
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		addQueue(t, sys, name, configs[name])
	}
	c := newCallers()
	calls := 0
	for range 400 {
		name := names[rng.IntN(4)]
		r := Request{Nice: rng.IntN(3) - 1, Flow: []string{"x", "y", ""}[rng.IntN(3)], Cost: 1 + rng.IntN(2)}
		ctx := context.Background()
		if rng.IntN(3) == 0 {
			ctx = roomtest.Within(t, time.Duration(rng.IntN(300))*time.Millisecond)
		}
		run := time.Duration(rng.IntN(20)) * time.Millisecond
		panics := rng.IntN(20) == 0
		if q, ok := Get(sys, name); ok {
			calls++
			c.Call(func() error {
				return q.Run(ctx, r, func(context.Context) error {
					time.Sleep(run)
					if panics {
						panic("a job")
					}
					return nil
				})
			})
		}
		time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond)
		switch rng.IntN(60) {
		case 0:
			if q, ok := Get(sys, name); ok {
				crash(q)
			}
		case 1:
			_ = SetCounter(sys, "db", Counter{Limit: rng.IntN(6)})
			time.Sleep(10 * time.Millisecond)
			_ = SetCounter(sys, "db", Counter{Limit: 5})
		case 2:
			_ = SetGroupRate(sys, "api", Rate{PerSecond: float64(50 + rng.IntN(100))})
		case 3:
			Delete(sys, name)
			_, _ = Add(sys, name, configs[name])
		case 4:
			if q, ok := Get(sys, "a"); ok {
				_ = q.SetRegulator("counter", Counter{Limit: 1 + rng.IntN(4), Increment: 1 + rng.IntN(2)})
			}
		case 5:
			if q, ok := Get(sys, name); ok {
				_ = q.SetAction(Action(rng.IntN(3)))
				time.Sleep(time.Millisecond)
				_ = q.SetAction(Regulate)
			}
		case 6:
			DeleteGroupRate(sys, "api")
			_ = AddGroupRate(sys, "api", Rate{PerSecond: 100})
		}
	}
	ends := make(chan struct{})
	go func() { c.Wait(); close(ends) }()
	select {
	case <-ends:
	case <-time.After(time.Hour):
		t.Fatalf("%d of %d calls were never answered: %v", calls-c.Total(), calls, c.Ended())
	}
	assert.Equal(t, calls, c.Total())
	assert.Empty(t, c.Strange())
	info, err := SystemInfoOf(sys)
	require.NoError(t, err)
	for _, r := range info.Counters {
		assert.Zero(t, r.Used, "%s: all jobs are done", r.Name)
	}
	for _, q := range info.Queues {
		assert.Zero(t, q.Running, q.Name)
		assert.Zero(t, q.Waiting, q.Name)
		for _, r := range q.Regulators {
			assert.Zero(t, r.Used, "%s %s: all jobs are done", q.Name, r.Name)
		}
	}
}

func TestG4_EveryoneIsAnswered(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) { storm(t, seed, roomtest.System(t)) })
		synctest.Test(t, func(t *testing.T) { storm(t, seed, roomtest.System(t, roomtest.Deterministic())) })
	}
}

func TestG12_EverythingAtOnce(t *testing.T) {
	sys := roomtest.System(t)
	require.NoError(t, AddCounter(sys, "db", Counter{Limit: 3}))
	require.NoError(t, AddGroupRate(sys, "api", Rate{PerSecond: 100_000}))
	q := addQueue(t, sys, "a", Config{Regulators: []Regulator{Counter{Limit: 4}, AdaptiveLimit{}}, MaxSize: 50, Order: Adaptive})
	p := addQueue(t, sys, "b", Config{Regulators: []Regulator{NamedCounter("db", 1), GroupRate("api"), NamedCounter("a/counter", 1)}})
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	c := newCallers()
	for i := range 8 {
		c.Call(func() error {
			for n := range rounds {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n%7)*time.Millisecond+time.Microsecond)
				target := q
				if (n+i)%2 == 0 {
					target = p
				}
				err := target.Run(ctx, Request{Flow: fmt.Sprint(i)}, func(context.Context) error { runtime.Gosched(); return nil })
				cancel()
				if ending(err) == roomtest.Other {
					return err
				}
			}
			return nil
		})
	}
	c.Call(func() error {
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
	c.Wait()
	assert.Equal(t, map[string]int{"granted": 9}, c.Ended(), "%v", c.Strange())
	require.NoError(t, sys.Close(context.Background()))
}
