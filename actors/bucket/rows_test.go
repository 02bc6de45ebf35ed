package bucket

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/supervisor"
)

func TestB1_OneBucketForEachID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		var l ledger
		var wg sync.WaitGroup
		for range 100 { // all of them make their own handle and use it first
			b := f.Bucket("user")
			wg.Go(func() {
				if b.TryAcquire(Request{}).Allowed {
					l.add(ledgerEntry{cost: 1})
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		assert.Equal(t, 10, l.sum())
		assert.Equal(t, 1, f.Len())
		assert.Same(t, f.Bucket("user"), f.Bucket("user"))
		assert.EqualValues(t, 1, f.sys.Info().Tree.Started)
	})
}

func TestB2_CreatedOnDemandUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, MaxBuckets: 3, Idle: time.Second})
		for _, id := range ids(3) {
			require.True(t, f.Bucket(id).TryAcquire(Request{}).Allowed)
		}
		d := f.Bucket("one too many").TryAcquire(Request{})
		assert.False(t, d.Allowed)
		assert.ErrorIs(t, d.Err, penstock.ErrFull)
		assert.ErrorContains(t, d.Err, `"one too many"`)
		_, err := f.Bucket("one too many").Acquire(context.Background(), Request{})
		assert.ErrorIs(t, err, penstock.ErrFull)
		time.Sleep(10 * time.Second) // the three are put away
		assert.True(t, f.Bucket("one too many").TryAcquire(Request{}).Allowed)
	})
}

func TestB3_Lookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		_, ok := f.Lookup("user")
		assert.False(t, ok)
		b := f.Bucket("user")
		_, ok = f.Lookup("user")
		assert.False(t, ok, "a handle starts nothing")
		b.TryAcquire(Request{})
		found, ok := f.Lookup("user")
		require.True(t, ok)
		assert.Equal(t, "user", found.ID())
	})
}

// TestB4_TenUrgentRequestsDoNotWedgeTheBucket is what stops Tornex's buckets for good.
func TestB4_TenUrgentRequestsDoNotWedgeTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFamily(t, Tornex()).Bucket("user")
		for range 10 {
			require.True(t, b.TryAcquire(Request{Nice: -20}).Allowed)
		}
		start := time.Now()
		var c roomtest.Callers
		for range 10 {
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{Nice: 10}); return err })
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 10}, c.Ended())
		assert.Equal(t, 6*time.Second, time.Since(start))
	})
}

func TestB5_TenThousandMayWaitByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 10_000, Per: time.Second}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{Cost: 10_000}).Allowed)
		var c roomtest.Callers
		for range 10_000 {
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		assert.Equal(t, 10_000, b.Info().Waiting)
		_, err := b.Acquire(context.Background(), Request{})
		assert.ErrorIs(t, err, penstock.ErrFull)
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 10_000}, c.Ended())
	})
}

func TestB6_DoWaitsRunsAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}})
		b := f.Bucket("user")
		start := time.Now()
		for i := range 3 {
			n, err := Do(context.Background(), b, Request{}, func(context.Context) (int, error) { return i * 10, nil })
			require.NoError(t, err)
			assert.Equal(t, i*10, n)
			assert.Equal(t, time.Duration(i)*time.Second, time.Since(start))
		}
		boom := errors.New("boom")
		_, err := Do(context.Background(), b, Request{}, func(context.Context) (int, error) { return 0, boom })
		assert.ErrorIs(t, err, boom)
		_, err = Do(context.Background(), b, Request{}, func(context.Context) (int, error) { panic(boom) })
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.Equal(t, boom, panicked.Value)
		assert.Contains(t, string(panicked.Stack), "TestB6")
		assert.ErrorIs(t, err, boom)
		_, err = Do[int](context.Background(), b, Request{}, nil)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
	})
}

func TestB7_ACallerThatGaveUpHasSpentNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Minute}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		_, err := b.Acquire(roomtest.Within(t, time.Second), Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `bucket "user" of family "test": gave up after waiting 1s`)
		synctest.Wait()
		assert.Zero(t, b.Info().Waiting, "it has left the line")
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = b.Acquire(ended, Request{})
		assert.ErrorIs(t, err, context.Canceled)
		time.Sleep(59 * time.Second)
		assert.True(t, b.TryAcquire(Request{}).Allowed)
	})
}

func TestB9_SupervisedOneForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		events := f.sys.Tree().Subscribe(100)
		defer events.Close()
		for _, id := range ids(3) {
			f.Bucket(id).TryAcquire(Request{})
		}
		synctest.Wait()
		crash(f, "user-1")
		synctest.Wait()
		var restarted []string
		for len(events.Events()) > 0 {
			if e := <-events.Events(); e.What == supervisor.Restarted {
				restarted = append(restarted, e.ID)
				assert.Error(t, e.Err)
			}
		}
		assert.Equal(t, []string{"user-1"}, restarted)
		assert.Equal(t, 9, f.Bucket("user-1").Info().Limits[0].Remaining, "not refilled")
	})
}

func TestB10_PutAwayWhenIdleNeverWhileAnythingCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Minute}}, Idle: time.Second})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 1, f.Len(), "its window still holds a request")
		time.Sleep(35 * time.Second)
		assert.Zero(t, f.Len())
		assert.True(t, b.TryAcquire(Request{}).Allowed, "the handle stays good")
		assert.Equal(t, 1, f.Len())

		var c roomtest.Callers
		c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		time.Sleep(59 * time.Second)
		assert.Equal(t, 1, f.Len(), "somebody waits")
		c.Wait()
		assert.Equal(t, 1, c.Ended()["granted"])
	})
}

// TestB10_NothingIsLostBetweenUseAndPassivation uses buckets at the very moments at which they are put away.
func TestB10_NothingIsLostBetweenUseAndPassivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const per = 10 * time.Millisecond
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: per}}, Idle: per})
		ledgers := make([]ledger, 20)
		var c roomtest.Callers
		for i, id := range ids(len(ledgers)) {
			b := f.Bucket(id)
			for k := range 3 {
				c.Call(func() error {
					for j := range 50 {
						time.Sleep(time.Duration(j%7+k)*per/2 + 2500*time.Microsecond)
						if _, err := b.Acquire(context.Background(), Request{}); err != nil {
							return err
						}
						ledgers[i].add(ledgerEntry{at: time.Now(), cost: 1})
					}
					return nil
				})
			}
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 3 * len(ledgers)}, c.Ended())
		for i := range ledgers {
			assert.Equal(t, 150, ledgers[i].sum())
			assert.Equal(t, 1, ledgers[i].worst(per))
		}
		assert.NotZero(t, passivations(f))
	})
}

func TestB11_ThrottleOfABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, Idle: time.Second})
		b, start := f.Bucket("user"), time.Now()
		b.Throttle(start.Add(time.Minute))
		b.Throttle(start.Add(time.Second)) // never shorter
		d := b.TryAcquire(Request{})
		assert.False(t, d.Allowed)
		assert.Equal(t, time.Minute, d.RetryAfter)
		assert.Empty(t, d.Limit)
		assert.Equal(t, start.Add(time.Minute), b.Info().ThrottledUntil)
		assert.True(t, f.Bucket("other").TryAcquire(Request{}).Allowed)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 1, f.Len(), "it is not put away, for a new one would not be throttled")
		_, err := b.Acquire(context.Background(), Request{})
		require.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestB11_ThrottleOfTheFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		start := time.Now()
		present := f.Bucket("present")
		require.True(t, present.TryAcquire(Request{}).Allowed)
		wall := start.Add(time.Minute).Round(0) // as an upstream's date is: without a monotonic reading
		f.Throttle(wall)
		f.Throttle(start.Add(time.Second))
		for _, id := range []string{"present", "future"} {
			d := f.Bucket(id).TryAcquire(Request{})
			assert.False(t, d.Allowed, id)
			assert.Equal(t, time.Minute, d.RetryAfter, id)
		}
		assert.True(t, wall.Equal(f.Info().ThrottledUntil))
		_, err := present.Acquire(context.Background(), Request{})
		require.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}
