package bucket

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestLimitsChangeAtRunTimeAndKeepHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		for range 10 {
			require.True(t, b.TryAcquire(Request{}).Allowed)
		}
		var c roomtest.Callers
		start := time.Now()
		for range 5 {
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		c.Call(func() error { _, err := b.Acquire(context.Background(), Request{Nice: 19, Cost: 10}); return err })
		synctest.Wait()
		require.NoError(t, f.SetLimits(limit.Limit{Name: "api", Events: 13, Per: 6 * time.Second}))
		synctest.Wait()
		assert.Equal(t, map[string]int{"granted": 3}, c.Ended(), "room for three more, at once")
		require.NoError(t, f.SetLimits(limit.Limit{Name: "api", Events: 5, Per: 6 * time.Second}))
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 5, roomtest.Other: 1}, c.Ended())
		assert.ErrorIs(t, c.Strange()[0], penstock.ErrInvalid, "what can never be granted any more is refused")
		assert.Equal(t, 6*time.Second, time.Since(start))

		err := f.SetLimits(limit.Limit{Events: 0, Per: 0})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.Equal(t, 5, f.Limits()[0].Events, "a bad limit changes nothing")
	})
}

func TestG1_CostsFollowTheirLimitsWhenTheseChangePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := limit.Limit{Name: "requests", Events: 10, Per: time.Minute}
		tokens := limit.Limit{Name: "tokens", Events: 100, Per: time.Minute}
		f := newFamily(t, Config{Limits: []limit.Limit{requests, tokens}})
		b := f.Bucket("user")
		first, err := b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 80}})
		require.NoError(t, err)
		var c roomtest.Callers
		for range 2 {
			c.Call(func() error {
				_, err := b.Acquire(context.Background(), Request{Cost: 2, Costs: map[string]int{"tokens": 60}})
				return err
			})
		}
		synctest.Wait()
		used := func() map[string]int {
			used := make(map[string]int)
			for _, l := range b.Info().Limits {
				used[l.Name] = l.Used
			}
			return used
		}
		require.NoError(t, f.SetLimits(limit.Limit{Name: "images", Events: 5, Per: time.Hour}, tokens, requests))
		assert.Equal(t, map[string]int{"requests": 1, "tokens": 80, "images": 0}, used())
		first.Settle(map[string]int{"tokens": 30})
		synctest.Wait()
		assert.Equal(t, map[string]int{"granted": 1}, c.Ended())
		assert.Equal(t, map[string]int{"requests": 3, "tokens": 90, "images": 2}, used(), "of a new limit it takes its Cost")
		c.Wait()
		assert.Equal(t, map[string]int{"requests": 2, "tokens": 60, "images": 4}, used())
	})
}

// TestG2_ALongerWindowCountsWhatWasPutAway lengthens a window to beyond what buckets that were put away can tell of.
func TestG2_ALongerWindowCountsWhatWasPutAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"api", ""} { // without a name the limit is found by its place
			f := newFamily(t, Config{Limits: []limit.Limit{{Name: name, Events: 10, Per: 6 * time.Second}}, Idle: 10 * time.Second})
			var l ledger
			take := func(want int) {
				for b, n := f.Bucket("user"), 0; ; n++ {
					if !b.TryAcquire(Request{}).Allowed {
						assert.Equal(t, want, n)
						return
					}
					l.add(ledgerEntry{at: time.Now(), cost: 1})
				}
			}
			take(10)
			time.Sleep(20 * time.Second)
			require.Zero(t, f.Len(), "it was put away")
			require.NoError(t, f.SetLimits(limit.Limit{Name: name, Events: 12, Per: time.Minute}))
			take(0)
			time.Sleep(30 * time.Second)
			take(0)
			time.Sleep(30 * time.Second)
			take(12)
			assert.LessOrEqual(t, l.worst(time.Minute), 12)
			require.NoError(t, f.SetLimits(limit.Limit{Name: name, Events: 12, Per: 8 * time.Second}))
			assert.True(t, f.Bucket("new").TryAcquire(Request{}).Allowed, "a window no longer than Idle has nothing to fear")
			require.NoError(t, f.System().Close(context.Background()))
		}
	})
}

func TestSlackKeepsADistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}, Slack: 100 * time.Millisecond})
		b, start := f.Bucket("user"), time.Now()
		for range 3 {
			_, err := b.Acquire(context.Background(), Request{})
			require.NoError(t, err)
		}
		assert.Equal(t, 2200*time.Millisecond, time.Since(start))
		require.NoError(t, f.SetSlack(200*time.Millisecond))
		assert.Equal(t, 200*time.Millisecond, f.Slack())
		_, err := b.Acquire(context.Background(), Request{})
		require.NoError(t, err)
		assert.Equal(t, 3400*time.Millisecond, time.Since(start))
		assert.ErrorIs(t, f.SetSlack(time.Second), penstock.ErrInvalid)
	})
}

func TestShadowLetsEverythingPassAndSaysWhatItWouldHaveDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, Shadow: true, MaxWaiting: 1})
		b, start := f.Bucket("user"), time.Now()
		for range 10 {
			assert.Equal(t, time.Duration(0), b.TryAcquire(Request{}).RetryAfter)
		}
		d := b.TryAcquire(Request{})
		assert.Equal(t, Decision{Allowed: true, RetryAfter: 6 * time.Second, Limit: "api"}, d)
		for range 20 {
			_, err := b.Acquire(context.Background(), Request{})
			require.NoError(t, err)
		}
		b.Throttle(start.Add(time.Hour))
		assert.True(t, b.TryAcquire(Request{}).Allowed)
		assert.Zero(t, time.Since(start))
		assert.EqualValues(t, 10, f.Info().Passed)
		assert.EqualValues(t, 22, f.Info().Refused)
		assert.ErrorIs(t, b.TryAcquire(Request{Nice: 99}).Err, penstock.ErrInvalid)

		assert.True(t, b.TryAcquire(Request{Cost: 99}).Allowed, "more than the limit ever grants")
		_, err := b.Acquire(context.Background(), Request{Cost: 99})
		assert.NoError(t, err)
		small := newFamily(t, Config{Limits: []limit.Limit{{Events: 60, Per: time.Minute, Algorithm: limit.Smooth}}, Shadow: true, MaxWaiting: 5, MaxBuckets: 1})
		for range 1000 {
			_, err := small.Bucket("user").Acquire(context.Background(), Request{})
			require.NoError(t, err)
		}
		assert.LessOrEqual(t, small.Bucket("user").TryAcquire(Request{}).RetryAfter, 8*time.Second, "no more debt than as many as may wait would be")
		assert.True(t, small.Bucket("other").TryAcquire(Request{}).Allowed, "the family is full")
		_, err = small.Bucket("other").Acquire(context.Background(), Request{})
		assert.NoError(t, err)
	})
}

func TestCalendarLimitsFollowTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 3, Per: time.Minute, Algorithm: limit.Calendar}}})
		b := f.Bucket("user")
		time.Sleep(50 * time.Second) // a bubble begins at a full minute
		start := time.Now()
		for range 6 {
			_, err := b.Acquire(context.Background(), Request{})
			require.NoError(t, err)
		}
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestMoreSlackDoesNotBlockNewBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Name: "api", Events: 100, Per: time.Hour}}})
		require.NoError(t, f.SetSlack(time.Second))
		d := f.Bucket("new").TryAcquire(Request{})
		assert.True(t, d.Allowed, "refused for %v", d.RetryAfter)
	})
}

func TestG2_ALongerWindowCountsWhatWasUsedInAFormerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, Idle: 10 * time.Second})
		assert.Equal(t, 10, all(f.Bucket("user")))
		time.Sleep(20 * time.Second)
		require.Zero(t, f.Len())
		assert.True(t, f.Bucket("user").TryAcquire(Request{}).Allowed)
		require.NoError(t, f.SetLimits(limit.Limit{Name: "api", Events: 10, Per: time.Minute}))
		assert.Equal(t, 0, all(f.Bucket("user")), "eleven in this minute already")
	})
}

func TestAThrottleWithoutEndHoldsAndRefusesNobody(t *testing.T) {
	for name, until := range map[string]time.Time{"max": time.Unix(1<<40, 0), "9999": time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "min": {}, "old": time.Unix(math.MinInt32*1000, 0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
				b := f.Bucket("user")
				b.Throttle(until)
				d := b.TryAcquire(Request{})
				_, err := b.Acquire(roomtest.Within(t, time.Minute), Request{})
				if until.After(time.Now()) {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Positive(t, d.RetryAfter)
				} else {
					assert.NoError(t, err)
				}
			})
		})
	}
}
