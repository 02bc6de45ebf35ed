package bucket

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/supervisor"
)

func TestB1_OneBucketForEachID(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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

func TestB5_TenThousandMayWaitByDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 10_000, Per: time.Second}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{Cost: 10_000}).Allowed)
		var c callers
		for range 10_000 {
			c.call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		assert.Equal(t, 10_000, b.Info().Waiting)
		_, err := b.Acquire(context.Background(), Request{})
		assert.ErrorIs(t, err, penstock.ErrFull)
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 10_000}, c.ended())
	})
}

// TestB4_TenUrgentRequestsDoNotWedgeTheBucket is what stops Tornex's buckets for good.
func TestB4_TenUrgentRequestsDoNotWedgeTheBucket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFamily(t, Tornex()).Bucket("user")
		for range 10 {
			require.True(t, b.TryAcquire(Request{Nice: -20}).Allowed)
		}
		start := time.Now()
		var c callers
		for range 10 {
			c.call(func() error { _, err := b.Acquire(context.Background(), Request{Nice: 10}); return err })
		}
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 10}, c.ended())
		assert.Equal(t, 6*time.Second, time.Since(start))
	})
}

func TestB6_DoWaitsRunsAndReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Minute}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		_, err := b.Acquire(within(t, time.Second), Request{})
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
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Minute}}, Idle: time.Second})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 1, f.Len(), "its window still holds a request")
		time.Sleep(35 * time.Second)
		assert.Zero(t, f.Len())
		assert.True(t, b.TryAcquire(Request{}).Allowed, "the handle stays good")
		assert.Equal(t, 1, f.Len())

		var c callers
		c.call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		time.Sleep(59 * time.Second)
		assert.Equal(t, 1, f.Len(), "somebody waits")
		c.wg.Wait()
		assert.Equal(t, 1, c.ended()["granted"])
	})
}

// TestB10_NothingIsLostBetweenUseAndPassivation uses buckets at the very moments at which they are put away.
func TestB10_NothingIsLostBetweenUseAndPassivation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const per = 10 * time.Millisecond
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: per}}, Idle: per})
		ledgers := make([]ledger, 20)
		var c callers
		for i, id := range ids(len(ledgers)) {
			b := f.Bucket(id)
			for k := range 3 {
				c.call(func() error {
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
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 3 * len(ledgers)}, c.ended())
		for i := range ledgers {
			assert.Equal(t, 150, ledgers[i].sum())
			assert.Equal(t, 1, ledgers[i].worst(per))
		}
		assert.NotZero(t, passivations(f))
	})
}

func TestB11_ThrottleOfABucket(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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

func TestB13_IdenticalRequestsShareOneRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 2, Per: time.Second}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{Cost: 2}).Allowed)
		runs := 0
		fetch := func(ctx context.Context) (string, error) {
			runs++
			time.Sleep(time.Second)
			return "profile", ctx.Err()
		}
		var c callers
		for i := range 50 { // some while the first one waits, some while it runs
			c.call(func() error {
				time.Sleep(time.Duration(i) * 35 * time.Millisecond)
				v, err := Do(context.Background(), b, Request{Key: "profile"}, fetch)
				assert.Equal(t, "profile", v)
				return err
			})
		}
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 50}, c.ended())
		assert.Equal(t, 1, runs)
		assert.EqualValues(t, 2, b.Info().Passed, "and was charged once")
		_, err := Do(context.Background(), b, Request{Key: "profile"}, fetch)
		require.NoError(t, err)
		assert.Equal(t, 2, runs, "what has ended is not shared")
	})
}

func TestB13_TheRunEndsWithTheLastCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		type key struct{}
		var cancelled time.Duration
		start := time.Now()
		fn := func(ctx context.Context) (int, error) {
			assert.Equal(t, "first", ctx.Value(key{}))
			<-ctx.Done()
			cancelled = time.Since(start)
			return 0, ctx.Err()
		}
		var c callers
		for i, patience := range []time.Duration{time.Second, 5 * time.Second, 3 * time.Second} {
			ctx := within(t, patience)
			if i == 0 {
				ctx = context.WithValue(ctx, key{}, "first")
			}
			c.call(func() error { _, err := Do(ctx, b, Request{Key: "k"}, fn); return err })
			synctest.Wait()
		}
		c.wg.Wait()
		synctest.Wait()
		assert.Equal(t, map[string]int{"gave up": 3}, c.ended())
		assert.Equal(t, 5*time.Second, cancelled)
		assert.Zero(t, f.Info().Waiting)
	})
}

func TestB13_PanicsAndGoexitReachEveryCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		var c callers
		for range 3 {
			c.call(func() error {
				_, err := Do(context.Background(), f.Bucket("user"), Request{Key: "panic"}, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					panic("boom")
				})
				return err
			})
			c.call(func() error {
				_, err := Do(context.Background(), f.Bucket("user"), Request{Key: "exit"}, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					t.SkipNow() // runtime.Goexit
					return 0, nil
				})
				assert.ErrorIs(t, err, errGoexit)
				return nil
			})
		}
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 3, "panicked": 3}, c.ended())
	})
}

func TestB13_TheMostUrgentCallerSetsTheUrgency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		var c callers
		var order []string
		ask := func(nice int, key, name string) {
			c.call(func() error {
				_, err := Do(context.Background(), b, Request{Nice: nice, Key: key}, func(context.Context) (int, error) {
					order = append(order, name)
					return 0, nil
				})
				return err
			})
			synctest.Wait()
		}
		ask(10, "shared", "shared")
		ask(0, "", "plain")
		ask(-5, "shared", "not run, it joins")
		c.wg.Wait()
		assert.Equal(t, []string{"shared", "plain"}, order)
	})
}

// TestB13_NobodyJoinsARunThatEnds looks at runs while their last caller leaves: from then on nobody may find them.
func TestB13_NobodyJoinsARunThatEnds(t *testing.T) {
	f := newFamily(t, Config{Limits: []limit.Limit{plenty}})
	b, key := f.Bucket("user"), callKey{key: "k"}
	for range 200 {
		c, e, _, err := b.callFor(context.Background(), &Request{}, key)
		require.NoError(t, err)
		g := &e.Value
		var wg sync.WaitGroup
		looking := make(chan struct{})
		wg.Go(func() {
			for close(looking); ; runtime.Gosched() {
				g.mu.Lock()
				left, listed := c.sharers == 0, g.state.backlog.calls[key] == c
				g.mu.Unlock()
				if left && listed {
					t.Error("a run that nobody waits for can be joined")
				}
				if left {
					return
				}
			}
		})
		<-looking
		g.quit(c)
		wg.Wait()
		f.crowd.leave(1)
	}
}

func TestB13_EveryCallerIsChecked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, MaxWaiting: 2})
		b := f.Bucket("user")
		fn := func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil }
		var c callers
		for range 3 {
			c.call(func() error { _, err := Do(context.Background(), b, Request{Key: "k"}, fn); return err })
		}
		synctest.Wait()
		assert.Equal(t, map[string]int{"full": 1}, c.ended(), "as many share a run as may wait")
		for _, bad := range []Request{{Key: "k", Nice: 99}, {Key: "k", Cost: -5}, {Key: "k", Cost: 11}} {
			_, err := Do(context.Background(), b, bad, fn)
			assert.ErrorIs(t, err, penstock.ErrInvalid)
		}
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 2, "full": 1}, c.ended())
	})
}

func TestB13_ResultTypesAreNotMixed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		var c callers
		c.call(func() error {
			v, err := Do(context.Background(), b, Request{Key: "k"}, func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil })
			assert.Equal(t, 7, v)
			return err
		})
		c.call(func() error {
			v, err := Do(context.Background(), b, Request{Key: "k"}, func(context.Context) (error, error) { time.Sleep(time.Second); return nil, nil })
			assert.NoError(t, v)
			return err
		})
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 2}, c.ended())
	})
}

func TestTryAcquireSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{
			{Name: "requests", Events: 3, Per: time.Second},
			{Name: "tokens", Events: 100, Per: time.Minute},
		}})
		b := f.Bucket("user")
		assert.Equal(t, Decision{Allowed: true, Limit: "requests", Remaining: 2}, b.TryAcquire(Request{}))
		assert.Equal(t, Decision{Allowed: true, Limit: "requests", Remaining: 1}, b.TryAcquire(Request{Costs: map[string]int{"tokens": 60}}))
		assert.Equal(t, Decision{RetryAfter: time.Minute, Limit: "tokens"}, b.TryAcquire(Request{Costs: map[string]int{"tokens": 60}}))
		assert.Equal(t, Decision{Allowed: true, Limit: "requests", Remaining: 0}, b.TryAcquire(Request{}))
		time.Sleep(time.Second / 2)
		assert.Equal(t, Decision{RetryAfter: time.Second / 2, Limit: "requests"}, b.TryAcquire(Request{}))
		assert.EqualValues(t, 3, b.Info().Passed)
		assert.EqualValues(t, 2, b.Info().Refused)
	})
}

func TestSettle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{
			{Name: "requests", Events: 100, Per: time.Minute},
			{Name: "tokens", Events: 1000, Per: time.Minute},
		}})
		b := f.Bucket("user")
		used := func() int { return b.Info().Limits[1].Used }
		p, err := b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 600}})
		require.NoError(t, err)
		p.Settle(map[string]int{"tokens": 200, "unknown": 5})
		assert.Equal(t, 200, used(), "the rest is given back")
		assert.Equal(t, 1, b.Info().Limits[0].Used, "limits that are not named stay as they are")

		p, err = b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 100}})
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		p.Settle(map[string]int{"tokens": 1500})
		assert.Equal(t, 1700, used(), "a debt")
		start := time.Now()
		_, err = b.Acquire(context.Background(), Request{})
		require.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(start), "it is worked off before anything else passes")

		p, err = b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 999}})
		require.NoError(t, err)
		var c callers
		c.call(func() error {
			_, err := b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 500}})
			return err
		})
		synctest.Wait()
		start = time.Now()
		p.Settle(map[string]int{"tokens": -7}) // taken as 0
		c.wg.Wait()
		assert.Zero(t, time.Since(start), "what was given back goes to who waits, at once")
		Permit{}.Settle(map[string]int{"tokens": 1})
	})
}

func TestLimitsChangeAtRunTimeAndKeepHistory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		for range 10 {
			require.True(t, b.TryAcquire(Request{}).Allowed)
		}
		var c callers
		start := time.Now()
		for range 5 {
			c.call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		c.call(func() error { _, err := b.Acquire(context.Background(), Request{Nice: 19, Cost: 10}); return err })
		synctest.Wait()
		require.NoError(t, f.SetLimits(limit.Limit{Name: "api", Events: 13, Per: 6 * time.Second}))
		synctest.Wait()
		assert.Equal(t, map[string]int{"granted": 3}, c.ended(), "room for three more, at once")
		require.NoError(t, f.SetLimits(limit.Limit{Name: "api", Events: 5, Per: 6 * time.Second}))
		c.wg.Wait()
		assert.Equal(t, map[string]int{"granted": 5, "other": 1}, c.ended())
		assert.ErrorIs(t, c.strange[0], penstock.ErrInvalid, "what can never be granted any more is refused")
		assert.Equal(t, 6*time.Second, time.Since(start))

		err := f.SetLimits(limit.Limit{Events: 0, Per: 0})
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.Equal(t, 5, f.Limits()[0].Events, "a bad limit changes nothing")
	})
}

func TestHeadroomIsOfTheLimitsNotOfTheWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{
			Limits:   []limit.Limit{tenIn6s},
			Headroom: Headroom{Classes: []Class{{MaxNice: 0, Share: 0.7}, {MaxNice: 5, Share: 0.5}}},
			Aging:    time.Second,
		})
		b := f.Bucket("user")
		_, err := b.Acquire(context.Background(), Request{Cost: 8})
		assert.ErrorIs(t, err, penstock.ErrInvalid, "ageing leads to the most urgent class, and that has no more than 7")
		assert.ErrorContains(t, err, "more than 7")
		d := b.TryAcquire(Request{Nice: 19, Cost: 6})
		assert.ErrorIs(t, d.Err, penstock.ErrInvalid, "without waiting it never goes")
		assert.ErrorContains(t, d.Err, "use Acquire")
		start := time.Now()
		_, err = b.Acquire(context.Background(), Request{Nice: 19, Cost: 6})
		require.NoError(t, err)
		assert.Equal(t, 19*time.Second, time.Since(start), "aged to niceness 0")
		time.Sleep(6 * time.Second)
		for range 5 {
			require.True(t, b.TryAcquire(Request{Nice: 19}).Allowed, "who is beyond the last class belongs to it")
		}
		assert.False(t, b.TryAcquire(Request{Nice: 19}).Allowed)

		generic := newFamily(t, Tornex()).Bucket("user").TryAcquire(Request{Nice: 1})
		assert.ErrorIs(t, generic.Err, penstock.ErrInvalid)
	})
}

func TestG1_CostsFollowTheirLimitsWhenTheseChangePlaces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		requests := limit.Limit{Name: "requests", Events: 10, Per: time.Minute}
		tokens := limit.Limit{Name: "tokens", Events: 100, Per: time.Minute}
		f := newFamily(t, Config{Limits: []limit.Limit{requests, tokens}})
		b := f.Bucket("user")
		first, err := b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 80}})
		require.NoError(t, err)
		var c callers
		for range 2 {
			c.call(func() error {
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
		assert.Equal(t, map[string]int{"granted": 1}, c.ended())
		assert.Equal(t, map[string]int{"requests": 3, "tokens": 90, "images": 2}, used(), "of a new limit it takes its Cost")
		c.wg.Wait()
		assert.Equal(t, map[string]int{"requests": 2, "tokens": 60, "images": 4}, used())
	})
}

// TestG2_ALongerWindowCountsWhatWasPutAway lengthens a window to beyond what buckets that were put away can tell of.
func TestG2_ALongerWindowCountsWhatWasPutAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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
	bubble(t, func(t *testing.T) {
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

func TestBadInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s, {Name: "tokens", Events: 100, Per: time.Minute}}})
		for name, tc := range map[string]struct {
			id   string
			r    Request
			says string
		}{
			"empty ID":             {"", Request{}, "it is empty"},
			"huge ID":              {strings.Repeat("x", 513), Request{}, "513 bytes"},
			"ID that is not UTF-8": {"\xff", Request{}, "not UTF-8"},
			"negative cost":        {"u", Request{Cost: -1}, "Cost is -1"},
			"cost of nothing":      {"u", Request{Costs: map[string]int{"api": 0, "tokens": 0}}, "costs nothing"},
			"negative named cost":  {"u", Request{Costs: map[string]int{"tokens": -5}}, `Costs["tokens"] is -5`},
			"unknown limit":        {"u", Request{Costs: map[string]int{"tokns": 5}}, `"tokns"`},
			"more than ever":       {"u", Request{Cost: 11}, "never grants it more than 10"},
			"named more than ever": {"u", Request{Costs: map[string]int{"tokens": 101}}, "never grants it more than 100"},
			"overflow":             {"u", Request{Cost: 1 << 40}, "never grants it more than"},
			"nice too low":         {"u", Request{Nice: -21}, "Nice is -21"},
			"nice too high":        {"u", Request{Nice: 20}, "Nice is 20"},
		} {
			b := f.Bucket(tc.id)
			d := b.TryAcquire(tc.r)
			assert.False(t, d.Allowed, name)
			assert.ErrorIs(t, d.Err, penstock.ErrInvalid, name)
			assert.ErrorContains(t, d.Err, tc.says, name)
			_, err := b.Acquire(context.Background(), tc.r)
			assert.ErrorIs(t, err, penstock.ErrInvalid, name)
			assert.ErrorContains(t, err, tc.says, name)
			b.Throttle(time.Now())
			_ = b.Info()
		}
		assert.LessOrEqual(t, f.Len(), 1)
		for range 10 {
			require.True(t, f.Bucket("u").TryAcquire(Request{}).Allowed, "nothing was spent")
		}
		ok := strings.Repeat("x", 512)
		assert.True(t, f.Bucket(ok).TryAcquire(Request{}).Allowed)
	})
}

func TestBadConfigurationIsOneErrorThatNamesEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		defer sys.Close(context.Background())
		_, err = NewFamily(sys, "bad", Config{
			Limits:     []limit.Limit{{Events: 0, Per: time.Second}, {Events: 1}, {Name: "a", Events: 1, Per: time.Second}, {Name: "a", Events: 2, Per: time.Second}},
			Headroom:   Headroom{Classes: []Class{{MaxNice: 50, Share: 2}, {MaxNice: 5, Share: 0}}, Lift: -1},
			MaxWaiting: -1, MaxBuckets: -1, Aging: -1, Idle: -1, Slack: -1, Clustered: true,
		})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, word := range []string{"Events", "Per", `(a)`, "MaxNice is 50", "Share is 2", "Share is 0", "Lift", "MaxWaiting", "MaxBuckets", "Aging", "Idle", "slack", "Clustered"} {
			assert.ErrorContains(t, err, word)
		}
		assert.Empty(t, sys.Info().Tree.Families, "nothing was started")

		good := Config{Limits: []limit.Limit{tenIn6s}}
		_, err = NewFamily(nil, "x", good)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		_, err = NewFamily(sys, "", good)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		_, err = NewFamily(sys, "twice", good)
		require.NoError(t, err)
		_, err = NewFamily(sys, "twice", good)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, `"twice"`)
	})
}

func TestFamilyCloseLeavesTheSystem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		require.NoError(t, f.Close(context.Background()))
		require.NoError(t, f.Close(context.Background()))
		assert.ErrorIs(t, b.TryAcquire(Request{}).Err, penstock.ErrClosed)
		again, err := NewFamily(f.sys, "test", Config{Limits: []limit.Limit{tenIn6s}})
		require.NoError(t, err, "its name is free again")
		assert.True(t, again.Bucket("user").TryAcquire(Request{}).Allowed)
	})
}

func TestTheFastWayAllocatesNothing(t *testing.T) {
	f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1e9, Per: time.Second}}})
	held := f.Bucket("user")
	held.TryAcquire(Request{})
	assert.Zero(t, testing.AllocsPerRun(100, func() { held.TryAcquire(Request{}) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { f.Bucket("user").TryAcquire(Request{}) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = held.Acquire(context.Background(), Request{}) }))
	full := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Hour}}}).Bucket("user")
	full.TryAcquire(Request{})
	assert.Zero(t, testing.AllocsPerRun(100, func() { full.TryAcquire(Request{}) }), "refused")
}

func TestG1_SettlingAPermitOfAFormerLifeGivesNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, Idle: 10 * time.Second})
		b := f.Bucket("user")
		p, err := b.Acquire(context.Background(), Request{Cost: 5})
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		require.Zero(t, f.Len())
		assert.Equal(t, 10, all(b))
		p.Settle(map[string]int{"api": 1})
		assert.Equal(t, 0, all(b), "the window is full")
	})
}

func TestG2_ADebtIsUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, Idle: 60 * time.Second})
		b := f.Bucket("user")
		p, err := b.Acquire(context.Background(), Request{})
		require.NoError(t, err)
		time.Sleep(58 * time.Second)
		p.Settle(map[string]int{"api": 11})
		time.Sleep(20 * time.Second)
		require.NoError(t, f.SetLimits(limit.Limit{Name: "api", Events: 10, Per: 50 * time.Second}))
		assert.Equal(t, 0, all(b), "ten were used 20 s ago")
	})
}

func TestMoreSlackDoesNotBlockNewBuckets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Name: "api", Events: 100, Per: time.Hour}}})
		require.NoError(t, f.SetSlack(time.Second))
		d := f.Bucket("new").TryAcquire(Request{})
		assert.True(t, d.Allowed, "refused for %v", d.RetryAfter)
	})
}

func TestG2_ALongerWindowCountsWhatWasUsedInAFormerLife(t *testing.T) {
	bubble(t, func(t *testing.T) {
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
			bubble(t, func(t *testing.T) {
				f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
				b := f.Bucket("user")
				b.Throttle(until)
				d := b.TryAcquire(Request{})
				_, err := b.Acquire(within(t, time.Minute), Request{})
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
