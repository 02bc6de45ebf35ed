package queue

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
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
	var c callers
	calls := 0
	for range 400 {
		name := names[rng.IntN(4)]
		r := Request{Nice: rng.IntN(3) - 1, Flow: []string{"x", "y", ""}[rng.IntN(3)], Cost: 1 + rng.IntN(2)}
		ctx := context.Background()
		if rng.IntN(3) == 0 {
			ctx = within(t, time.Duration(rng.IntN(300))*time.Millisecond)
		}
		run := time.Duration(rng.IntN(20)) * time.Millisecond
		panics := rng.IntN(20) == 0
		if q, ok := Get(sys, name); ok {
			calls++
			c.call(func() error {
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
	go func() { c.wg.Wait(); close(ends) }()
	select {
	case <-ends:
	case <-time.After(time.Hour):
		t.Fatalf("%d of %d calls were never answered: %v", calls-c.total(), calls, c.ended())
	}
	assert.Equal(t, calls, c.total())
	assert.Empty(t, c.strange)
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
	for seed := range seeds() {
		bubble(t, func(t *testing.T) { storm(t, seed, newSystem(t)) })
		bubble(t, func(t *testing.T) { storm(t, seed, newSystem(t, deterministic())) })
	}
}
