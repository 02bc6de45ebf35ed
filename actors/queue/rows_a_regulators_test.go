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
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestQ5_ACounterBoundsWhatRunsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 7, Increment: 2}}})
		c := newCallers()
		var running, most atomic.Int64
		for range 50 {
			c.Call(func() error {
				return q.Run(context.Background(), Request{}, func(context.Context) error {
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(time.Second)
					running.Add(-1)
					return nil
				})
			})
		}
		start := time.Now()
		c.Wait()
		assert.EqualValues(t, 3, most.Load(), "7 / 2")
		assert.Equal(t, 17*time.Second, time.Since(start), "and no fewer")
		assert.Equal(t, map[string]int{"granted": 50}, c.Ended())
		assert.Zero(t, used(q, 0))
	})
}

func TestQ5_TheDefaultIncrementIsOneAndALimitOfZeroIsShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 0}}})
		c := newCallers()
		waits(c, q, 3)
		time.Sleep(time.Hour)
		assert.Equal(t, 3, q.Info().Waiting)
		assert.Equal(t, "counter", q.Info().HeldBy)
		assert.Equal(t, time.Hour, q.Info().HeldFor)
		require.NoError(t, q.SetRegulator("counter", Counter{Limit: 1}))
		c.Wait()
		j := ask(t, q, Request{})
		assert.Equal(t, 1, used(q, 0))
		j.Done()
	})
}

func TestQ6_NamedCountersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 5}))
		assert.ErrorIs(t, AddCounter(sys, "slots", Counter{Limit: 5}), penstock.ErrExists)
		assert.ErrorIs(t, SetCounter(sys, "none", Counter{Limit: 5}), penstock.ErrInvalid)
		assert.ErrorIs(t, AddCounter(sys, "a/b", Counter{Limit: 5}), penstock.ErrInvalid)
		assert.ErrorIs(t, AddCounter(sys, "x", Counter{Limit: -5}), penstock.ErrInvalid)
		_, err := Add(sys, "x", Config{Regulators: []Regulator{NamedCounter("none", 1)}})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, `"none"`)
		a := addQueue(t, sys, "a", Config{Regulators: []Regulator{NamedCounter("slots", 2)}})
		b := addQueue(t, sys, "b", Config{Regulators: []Regulator{NamedCounter("slots", 0)}})
		ja := []*Job{ask(t, a, Request{}), ask(t, a, Request{})}
		jb := ask(t, b, Request{})
		c := newCallers()
		waits(c, b, 1)
		assert.Zero(t, c.Total(), "two of 2 and one of 1 are 5")
		require.NoError(t, SetCounter(sys, "slots", Counter{Limit: 6}))
		c.Wait()
		require.NoError(t, SetCounter(sys, "slots", Counter{Limit: 1}))
		waits(c, b, 1)
		for _, j := range ja {
			j.Done()
		}
		synctest.Wait()
		assert.Equal(t, 1, c.Total(), "one is in use still, as many as may")
		jb.Done()
		c.Wait()
		assert.True(t, DeleteCounter(sys, "slots"))
		assert.False(t, DeleteCounter(sys, "slots"))
		for range 20 {
			ask(t, a, Request{}) // nothing holds them any more
		}
		assert.True(t, a.Info().Regulators[0].Deleted)
	})
}

func TestQ6_DeletingACounterLetsThoseGoWhoWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 1}))
		a := addQueue(t, sys, "a", Config{Regulators: []Regulator{NamedCounter("slots", 1), Counter{Limit: 2}}})
		b := addQueue(t, sys, "b", Config{Regulators: []Regulator{NamedCounter("slots", 1)}})
		j := ask(t, a, Request{})
		c := newCallers()
		waits(c, a, 5)
		waits(c, b, 5)
		require.True(t, DeleteCounter(sys, "slots"))
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 10}, c.Ended())
		require.NoError(t, AddCounter(sys, "slots", Counter{Limit: 1}))
		j.Done() // what it holds of the one that is gone is not given to its successor
		successor := addQueue(t, sys, "c", Config{Regulators: []Regulator{NamedCounter("slots", 1)}})
		k := ask(t, successor, Request{})
		assert.Equal(t, 1, used(successor, 0))
		waits(c, successor, 1)
		assert.Equal(t, 1, successor.Info().Waiting)
		k.Done()
		c.Wait()
		assert.Zero(t, used(a, 1), "its own counter came back")
	})
}

func TestQ6_AnotherQueuesCounterMayBeShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		owner := addQueue(t, sys, "owner", Config{Regulators: []Regulator{Rate{PerSecond: 1000}, Counter{Limit: 2, Name: "slots"}}})
		held := ask(t, owner, Request{})
		for _, name := range []string{"owner/none", "none/slots", "owner/rate"} {
			_, err := Add(sys, "x", Config{Regulators: []Regulator{NamedCounter(name, 1)}})
			assert.ErrorIs(t, err, penstock.ErrInvalid, name)
		}
		guest := addQueue(t, sys, "guest", Config{Regulators: []Regulator{NamedCounter("owner/slots", 1)}})
		assert.Equal(t, 1, used(guest, 0), "what is in use counts")
		j := ask(t, guest, Request{})
		c := newCallers()
		waits(c, owner, 2)
		waits(c, guest, 2)
		time.Sleep(time.Minute)
		assert.Zero(t, c.Total())
		require.NoError(t, owner.SetRegulator("slots", Counter{Limit: 3}))
		c.Wait()
		assert.Error(t, guest.SetRegulator("named counter owner/slots", Counter{Limit: 9}), "it is not the guest's")
		require.True(t, Delete(sys, "owner"))
		held.Done()
		j.Done()
		assert.Zero(t, used(guest, 0))
		for range 3 {
			ask(t, guest, Request{})
		}
		waits(c, guest, 1)
		assert.Equal(t, 1, guest.Info().Waiting, "the counter goes on without its queue")
		require.True(t, Delete(sys, "guest"))
		c.Wait()
	})
}

func TestQ7_AGroupRateIsSharedAndNeverExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddGroupRate(sys, "db", Rate{PerSecond: 10}))
		assert.ErrorIs(t, AddGroupRate(sys, "db", Rate{PerSecond: 10}), penstock.ErrExists)
		assert.ErrorIs(t, AddGroupRate(sys, "x", Rate{PerSecond: -1}), penstock.ErrInvalid)
		assert.ErrorIs(t, SetGroupRate(sys, "x", Rate{PerSecond: 1}), penstock.ErrInvalid)
		var l ledger
		c := newCallers()
		start := time.Now()
		served := make(map[string]int)
		for _, name := range []string{"a", "b"} {
			q := addQueue(t, sys, name, Config{Regulators: []Regulator{GroupRate("db")}})
			for range 50 {
				c.Call(func() error {
					return q.Run(context.Background(), Request{}, func(context.Context) error { l.add(name); return nil })
				})
			}
		}
		c.Wait()
		assert.InDelta(t, 9.9, time.Since(start).Seconds(), 0.1)
		assert.LessOrEqual(t, l.worst(time.Second), 10)
		for _, label := range l.labels[:40] {
			served[label]++
		}
		assert.InDelta(t, 20, served["a"], 2, "the queues take turns")
	})
}

func TestQ7_AGroupRateIsChangedAndDeletedUnderThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, AddGroupRate(sys, "db", Rate{PerSecond: 0}))
		a := addQueue(t, sys, "a", Config{Regulators: []Regulator{GroupRate("db")}})
		b := addQueue(t, sys, "b", Config{Regulators: []Regulator{GroupRate("db")}})
		c := newCallers()
		waits(c, a, 10)
		waits(c, b, 10)
		time.Sleep(time.Hour)
		assert.Zero(t, c.Total(), "a rate of 0 lets nobody go")
		start := time.Now()
		require.NoError(t, SetGroupRate(sys, "db", Rate{PerSecond: 1}))
		time.Sleep(4500 * time.Millisecond)
		assert.InDelta(t, 5, c.Total(), 1)
		require.NoError(t, SetGroupRate(sys, "db", Rate{PerSecond: 10}))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		assert.InDelta(t, 10, c.Total(), 1)
		require.True(t, DeleteGroupRate(sys, "db"))
		assert.False(t, DeleteGroupRate(sys, "db"))
		c.Wait()
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.Equal(t, map[string]int{"granted": 20}, c.Ended())
	})
}

func TestQ8_ModifyRegulator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Rate{PerSecond: 1}, Counter{Limit: 100}, Rate{PerSecond: 1000, Name: "second"}}})
		c := newCallers()
		waits(c, q, 40)
		time.Sleep(10 * time.Second)
		before := c.Total()
		assert.InDelta(t, 11, before, 1)
		require.NoError(t, q.SetRegulator("rate", Rate{PerSecond: 100}))
		synctest.Wait()
		assert.LessOrEqual(t, c.Total()-before, 1, "no refill")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 40, c.Total())
		assert.Equal(t, "second", q.Info().Regulators[2].Name)
		require.NoError(t, q.SetRegulator("second", Rate{PerSecond: 5}))
		for _, bad := range []error{
			q.SetRegulator("rate", Counter{Limit: 1}), q.SetRegulator("none", Rate{PerSecond: 1}), q.SetRegulator("rate", nil),
			q.SetRegulator("rate", Rate{PerSecond: -1}), q.SetRegulator("counter", Counter{Limit: -1}), q.SetRegulator("rate", GroupRate("x")),
		} {
			assert.ErrorIs(t, bad, penstock.ErrInvalid)
		}
		assert.Equal(t, 100.0, q.Info().Regulators[0].Preset)
	})
}

func TestQ8_ACounterGoesBelowWhatIsInUseAndJobsGiveBackWhatTheyTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config{Regulators: []Regulator{Counter{Limit: 6, Increment: 2}}})
		jobs := []*Job{ask(t, q, Request{}), ask(t, q, Request{}), ask(t, q, Request{})}
		require.NoError(t, q.SetRegulator("counter", Counter{Limit: 3, Increment: 3}))
		assert.Equal(t, 6, used(q, 0))
		c := newCallers()
		waits(c, q, 1)
		jobs[0].Done()
		jobs[1].Done()
		synctest.Wait()
		assert.Zero(t, c.Total(), "2 of 3 are in use, and it takes 3")
		jobs[2].Done()
		c.Wait()
		assert.Zero(t, used(q, 0))
		job := ask(t, q, Request{})
		waits(c, q, 1)
		require.NoError(t, q.SetRegulator("counter", Counter{Limit: 2, Increment: 3}))
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 1, "invalid": 1}, c.Ended(), "who could never be let go any more is told so")
		job.Done()
		assert.Zero(t, used(q, 0))
	})
}
