package queue

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// order adds n requests one after the other behind a job that runs, and returns in which order they are let go.
func order(t *testing.T, cfg Config, n int) []string {
	cfg.Regulators = one()
	q := newQueue(t, cfg)
	job := ask(t, q, Request{})
	var l ledger
	c := newCallers()
	for i := range n {
		c.Call(func() error {
			return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(fmt.Sprint(i)); return nil })
		})
		synctest.Wait()
	}
	job.Done()
	c.Wait()
	return l.labels
}

func TestQ9_TheOrderIsTheQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.Equal(t, []string{"0", "1", "2", "3", "4"}, order(t, Config{}, 5))
		assert.Equal(t, []string{"4", "3", "2", "1", "0"}, order(t, Config{Order: LIFO}, 5))
		assert.Equal(t, []string{"0", "1", "2", "3", "4"}, order(t, Config{Order: Adaptive}, 5))
	})
}

// TestQ9_AdaptiveTurnsUnderOverload asks twice as fast as jobs are done, and then slower.
func TestQ9_AdaptiveTurnsUnderOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), Order: Adaptive, Target: 50 * time.Millisecond, TargetInterval: 400 * time.Millisecond})
		c := newCallers()
		var l ledger
		for i := range 200 {
			c.Call(func() error {
				return q.Run(context.Background(), Request{}, func(context.Context) error {
					l.add(fmt.Sprintf("%03d", i))
					time.Sleep(100 * time.Millisecond)
					return nil
				})
			})
			time.Sleep(50 * time.Millisecond)
		}
		c.Wait()
		ends := c.Ended()
		assert.Equal(t, 200, ends["granted"]+ends["overloaded"], "%v %v", ends, c.Strange())
		assert.InDelta(t, 100, ends["granted"], 10, "as many as there is room for")
		assert.True(t, slices.IsSorted(l.labels[:3]), "the oldest first while it was healthy")
		assert.False(t, slices.IsSorted(l.labels), "the newest first later")
		l.labels = nil
		for i := range 20 {
			c.Call(func() error {
				return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(fmt.Sprintf("%03d", i)); return nil })
			})
			time.Sleep(200 * time.Millisecond)
		}
		c.Wait()
		assert.Len(t, l.labels, 20)
		assert.True(t, slices.IsSorted(l.labels), "healthy again")
	})
}

func TestQ10_MaxTimeIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cfg := range []Config{{}, {Order: LIFO}, {CheckInterval: time.Hour}} {
			cfg.Regulators, cfg.MaxTime = []Regulator{Counter{Limit: 0}}, 1234567*time.Microsecond
			q := newQueue(t, cfg)
			c := newCallers()
			for i := range 5 {
				c.Call(func() error {
					time.Sleep(time.Duration(i) * 7 * time.Millisecond)
					start := time.Now()
					_, err := q.Ask(context.Background(), Request{Nice: -i})
					assert.Equal(t, cfg.MaxTime, time.Since(start))
					assert.ErrorIs(t, err, ErrTimedOut)
					var refused *RefusedError
					if assert.ErrorAs(t, err, &refused) {
						assert.Equal(t, cfg.MaxTime, refused.Waited)
						assert.Equal(t, "counter", refused.Regulator)
					}
					return err
				})
			}
			c.Wait()
			assert.Equal(t, map[string]int{"timed_out": 5}, c.Ended())
			assert.EqualValues(t, 5, q.Info().Refused[TimedOut])
			assert.Zero(t, q.Info().Waiting)
		}
	})
}

func TestQ10_WhoIsLetGoInTimeIsNotTimedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), MaxTime: time.Second})
		job := ask(t, q, Request{})
		c := newCallers()
		waits(c, q, 1)
		time.Sleep(time.Second - 1)
		job.Done()
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 1}, c.Ended())
		long := ask(t, q, Request{})
		time.Sleep(time.Hour) // jobs may take as long as they like
		long.Done()
		assert.Zero(t, used(q, 0))
	})
}

func TestQ11_MaxSizeRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), MaxSize: 10})
		job := ask(t, q, Request{})
		c := newCallers()
		waits(c, q, 100)
		assert.Equal(t, map[string]int{"full": 90}, c.Ended())
		assert.Equal(t, 10, q.Info().Waiting)
		start := time.Now()
		_, err := q.Ask(context.Background(), Request{Nice: -20})
		assert.Zero(t, time.Since(start))
		assert.ErrorIs(t, err, penstock.ErrFull)
		var refused *RefusedError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, Full, refused.Reason)
		assert.Equal(t, 10, refused.Waiting)
		job.Done()
		c.Wait()
		assert.Equal(t, map[string]int{"full": 90, "granted": 10}, c.Ended())
		assert.Equal(t, 10_000, newQueue(t, Config{}).Config().MaxSize)
	})
}

// TestQ11_WhoGivesUpMakesRoom at once, without the actor's help.
func TestQ11_WhoGivesUpMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: one(), MaxSize: 1})
		job := ask(t, q, Request{})
		for range 100 {
			_, err := q.Ask(roomtest.Within(t, time.Second), Request{})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			synctest.Wait()
		}
		job.Done()
		ask(t, q, Request{}).Done()
	})
}

func TestQ12_CheckIntervalSpacesRoundsInWhichSeveralGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 100}}, CheckInterval: 100 * time.Millisecond})
		var l ledger
		c := newCallers()
		for range 300 {
			c.Call(func() error {
				return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(""); return nil })
			})
		}
		start := time.Now()
		c.Wait()
		assert.InDelta(t, 3, time.Since(start).Seconds(), 0.15, "the rate is kept up")
		assert.LessOrEqual(t, l.worst(time.Second), 100)
		rounds := slices.CompactFunc(slices.Clone(l.turns), func(a, b roomtest.Turn) bool { return a.At.Equal(b.At) })
		for i := 1; i < len(rounds); i++ {
			assert.GreaterOrEqual(t, rounds[i].At.Sub(rounds[i-1].At), 100*time.Millisecond)
		}
	})
}

func TestQ12_CheckIntervalHoldsForCountersToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 2}}, CheckInterval: time.Second})
		job := func(c *roomtest.Callers) {
			c.Call(func() error { return q.Run(context.Background(), Request{}, lasting(time.Millisecond)) })
		}
		c := newCallers()
		job(c)
		c.Wait()
		start := time.Now()
		for range 5 {
			job(c)
		}
		synctest.Wait()
		assert.Equal(t, 5, q.Info().Waiting, "nobody passes between rounds, room or not")
		c.Wait()
		assert.Equal(t, 3*time.Second, time.Since(start), "two in each round")
	})
}

func TestQ13_ApproveAndReject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 0}}, Action: Approve})
		for range 100 {
			require.NoError(t, q.Run(context.Background(), Request{}, nothing))
		}
		passed := ask(t, q, Request{})
		require.NoError(t, q.SetAction(Reject))
		_, err := q.Ask(context.Background(), Request{})
		assert.ErrorIs(t, err, ErrRejected)
		assert.EqualValues(t, 1, q.Info().Refused[Rejected])
		require.NoError(t, q.SetAction(Regulate))
		passed.Done()
		assert.Zero(t, used(q, 0), "it took nothing and gives nothing back")
		c := newCallers()
		waits(c, q, 5)
		assert.Zero(t, c.Total())
		require.NoError(t, q.SetAction(Reject))
		c.Wait()
		assert.Equal(t, map[string]int{"rejected": 5}, c.Ended(), "who waits already is refused too")
		require.NoError(t, q.SetAction(Regulate))
		waits(c, q, 5)
		require.NoError(t, q.SetAction(Approve))
		c.Wait()
		assert.Equal(t, map[string]int{"rejected": 5, "granted": 5}, c.Ended(), "and let go")
		assert.Zero(t, used(q, 0))
	})
}

// TestQ13_JobsOfOneActionEndUnderAnother: what was taken comes back, and nothing that was not.
func TestQ13_JobsOfOneActionEndUnderAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 2}}})
		regulated := ask(t, q, Request{})
		require.NoError(t, q.SetAction(Approve))
		approved := ask(t, q, Request{})
		assert.Equal(t, 1, used(q, 0))
		regulated.Done()
		assert.Zero(t, used(q, 0))
		require.NoError(t, q.SetAction(Regulate))
		other := ask(t, q, Request{})
		approved.Done()
		assert.Equal(t, 1, used(q, 0))
		other.Done()
		assert.Zero(t, q.Info().Running)
	})
}
