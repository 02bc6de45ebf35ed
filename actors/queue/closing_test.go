package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestG4_CloseAnswersEveryone(t *testing.T) {
	for _, patience := range []time.Duration{0, 2500 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			sys := roomtest.System(t)
			q := addQueue(t, sys, "test", Config{Regulators: []Regulator{Rate{PerSecond: 10}}})
			c := newCallers()
			for range 41 {
				c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
			}
			synctest.Wait()
			err := sys.Close(roomtest.Within(t, patience))
			c.Wait()
			assert.Equal(t, 41, c.Total())
			if patience == time.Hour {
				assert.NoError(t, err)
				assert.Equal(t, 41, c.Ended()["granted"])
			} else {
				assert.ErrorContains(t, err, "cut short")
				assert.Equal(t, 41-c.Ended()["granted"], c.Ended()["closed"])
				assert.InDelta(t, 1+patience.Seconds()*10, c.Ended()["granted"], 1)
			}
			assert.ErrorIs(t, q.Run(context.Background(), Request{}, nothing), penstock.ErrClosed)
			_, err = Add(sys, "late", Config{})
			assert.ErrorIs(t, err, penstock.ErrClosed)
		})
	}
}

func TestG6_CloseLeavesNothing(t *testing.T) { // a goroutine or timer left behind fails the bubble
	synctest.Test(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		require.NoError(t, AddCounter(sys, "db", Counter{Limit: 2}))
		c := newCallers()
		for i := range 20 {
			q := addQueue(t, sys, fmt.Sprint("q", i), Config{Regulators: []Regulator{NamedCounter("db", 1), Rate{PerSecond: 5}}})
			for range 20 {
				c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
			}
		}
		addQueue(t, sys, "producing", Config{
			Regulators: []Regulator{Counter{Limit: 3}, Rate{PerSecond: 100}},
			Producer:   Produce(func(ctx context.Context) error { time.Sleep(50 * time.Millisecond); return nil }),
		})
		time.Sleep(500 * time.Millisecond)
		for range 3 { // under load, several times at once
			c.Call(func() error { return sys.Close(roomtest.Within(t, time.Second)) })
		}
		c.Wait()
		assert.Equal(t, 403, c.Total())
		_, ok := Get(sys, "q1")
		assert.False(t, ok)
	})
}

func TestG6_NoTimerOutlivesItsActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		q := addQueue(t, sys, "test", Config{Regulators: []Regulator{Rate{PerSecond: 0.001}}})
		ask(t, q, Request{}).Done()
		c := newCallers()
		c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		synctest.Wait()
		require.True(t, Delete(sys, "test"))
		c.Wait()
		assert.Equal(t, 1, c.Ended()["closed"])
		synctest.Wait()
		used := q.entry.Value.LastUsed()
		time.Sleep(2 * time.Hour)
		assert.Equal(t, used, q.entry.Value.LastUsed(), "something was sent to the queue after it was deleted")
	})
}

func TestG6_ClosingEndsTheProducing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		var jobs atomic.Int64
		q := addQueue(t, sys, "producing", Config{
			Regulators: []Regulator{Rate{PerSecond: 10}},
			Producer:   Produce(func(context.Context) error { time.Sleep(300 * time.Millisecond); jobs.Add(1); return nil }),
		})
		time.Sleep(1050 * time.Millisecond) // between two turns
		assert.InDelta(t, 3, q.Info().Running, 1)
		start := time.Now()
		require.NoError(t, sys.Close(roomtest.Within(t, time.Minute)))
		assert.LessOrEqual(t, time.Since(start), 300*time.Millisecond, "it waits for the jobs that run, and no more come")
		assert.InDelta(t, 11, jobs.Load(), 1)
	})
}
