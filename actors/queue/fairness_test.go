package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fairness has flows compete, each with so many callers that come again at once, and returns each one's share of the turns.
func fairness(t *testing.T, weights map[string]int, callersOf map[string]int, flow func(name string) string) map[string]float64 {
	shares := make(map[string]float64)
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 2}}, Weights: weights})
		c := newCallers()
		var l ledger
		end := time.Now().Add(10 * time.Second)
		for name, n := range callersOf {
			for range n {
				c.Call(func() error {
					for time.Now().Before(end) {
						err := q.Run(context.Background(), Request{Flow: flow(name)}, func(context.Context) error {
							if time.Now().Before(end) { // what is drained after it is nobody's share
								l.add(name)
							}
							time.Sleep(5 * time.Millisecond)
							return nil
						})
						if err != nil {
							return err
						}
					}
					return nil
				})
			}
		}
		c.Wait()
		require.Empty(t, c.Strange())
		for _, name := range l.labels {
			shares[name] += 1 / float64(len(l.labels))
		}
	})
	return shares
}

func TestG7_FlowsShareByWeight(t *testing.T) {
	own := func(name string) string { return name }
	uneven := map[string]int{"greedy": 100, "modest": 20, "small": 20}
	equal := fairness(t, nil, uneven, own)
	for name := range uneven {
		assert.InEpsilon(t, 1.0/3, equal[name], 0.05, name)
	}
	weighted := fairness(t, map[string]int{"small": 4, "modest": 2}, uneven, own)
	assert.InEpsilon(t, 4.0/7, weighted["small"], 0.05)
	assert.InEpsilon(t, 2.0/7, weighted["modest"], 0.05)
	assert.InEpsilon(t, 1.0/7, weighted["greedy"], 0.05)

	control := fairness(t, nil, uneven, func(string) string { return "" })
	assert.Greater(t, control["greedy"], 0.6, "without flows whoever asks most gets most: the test can tell")
}

func TestG7_AFlowOfOneIsNotDelayedByAFlowOfThousands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 100}}})
		crowd, one := newCallers(), newCallers()
		ctx, cancel := context.WithCancel(context.Background())
		for range 9_000 {
			crowd.Call(func() error { return q.Run(ctx, Request{Flow: "crowd"}, nothing) })
		}
		synctest.Wait()
		start := time.Now()
		one.Call(func() error { return q.Run(context.Background(), Request{Flow: "one"}, nothing) })
		one.Wait()
		assert.LessOrEqual(t, time.Since(start), 20*time.Millisecond)
		cancel()
		crowd.Wait()
	})
}
