package queue

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestG5_WaitingIsBoundedAndRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 1}}, MaxSize: 100})
		held := ask(t, q, Request{})
		c := newCallers()
		start := time.Now()
		for range 1100 { // ten times what may wait
			c.Call(func() error { return q.Run(context.Background(), Request{}, nothing) })
		}
		synctest.Wait()
		assert.Equal(t, 1000, c.Ended()["full"])
		assert.Zero(t, time.Since(start), "at once")
		assert.Equal(t, 100, q.Info().Waiting)
		err := q.Run(context.Background(), Request{}, nothing)
		var full *RefusedError
		require.ErrorAs(t, err, &full)
		assert.ErrorIs(t, err, penstock.ErrFull)
		assert.Equal(t, RefusedError{Queue: "test", Reason: Full, Waiting: 100, Regulator: "counter"}, *full)
		held.Done()
		c.Wait()
		assert.Equal(t, 100, c.Ended()["granted"])
	})
}

func TestG5_TheHeapStaysFlatUnderOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a longer overload")
	}
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 10}}, MaxSize: 100, Order: Adaptive})
		n := 0
		overload := func(seconds int) {
			for range seconds * 10 {
				c := newCallers()
				for range 100 { // a hundred times what the rate lets through, of flows never seen before
					n++
					flow := fmt.Sprint("flow-", n)
					c.Call(func() error {
						ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
						defer cancel()
						return q.Run(ctx, Request{Flow: flow}, nothing)
					})
				}
				time.Sleep(100 * time.Millisecond)
				c.Wait()
			}
		}
		overload(5)
		before := roomtest.Heap()
		overload(30)
		after := roomtest.Heap()
		assert.Less(t, after, before+before/5+1<<20)
	})
}
