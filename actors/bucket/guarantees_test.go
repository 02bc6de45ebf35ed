package bucket

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestG1_NoWindowAboveTheLimit(t *testing.T) {
	storms(t, Config{Limits: []limit.Limit{tenIn6s}}, nil, nil)
}

func TestG1_NoWindowAboveTheLimitWithHeadroomAndAgeing(t *testing.T) {
	cfg := Tornex()
	cfg.Aging = time.Second
	storms(t, cfg, nil, nil)
}

func TestG1_OneSeedGivesOneTrace(t *testing.T) {
	trace := func() (labels []int) {
		synctest.Test(t, func(t *testing.T) {
			s := &storm{seed: 7, calls: 100, gap: time.Second, costs: []int{1, 3}}
			f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}}, roomtest.Deterministic())
			s.run(t, f)
			labels = s.ledger.labels()
		})
		return labels
	}
	first := trace()
	require.NotEmpty(t, first)
	assert.Equal(t, first, trace())
}

func TestG2_ARestartNeverRefills(t *testing.T) {
	crashes := 0
	meddle := func(rng *rand.Rand, f *Family) {
		for range rng.IntN(3) {
			crashes++
			crash(f, "user")
		}
	}
	storms(t, Config{Limits: []limit.Limit{tenIn6s}}, meddle, nil)
	assert.NotZero(t, crashes)
}

func TestG2_BeingGivenUpNeverRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		for range 10 {
			require.True(t, b.TryAcquire(Request{}).Allowed)
		}
		var c roomtest.Callers
		c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		synctest.Wait()
		for range 6 {
			crash(f, "user")
		}
		c.Wait()
		assert.Equal(t, map[string]int{"given up": 1}, c.Ended())

		assert.False(t, b.TryAcquire(Request{}).Allowed, "the window is as full as before")
		start := time.Now()
		_, err := b.Acquire(context.Background(), Request{})
		require.NoError(t, err, "the next use starts the actor again")
		assert.Less(t, time.Since(start), 6*time.Second)
	})
}

func TestG2_PuttingAwayNeverRefills(t *testing.T) {
	cfg := Config{Limits: []limit.Limit{tenIn6s}, Idle: 500 * time.Millisecond}
	meddle := func(rng *rand.Rand, _ *Family) { time.Sleep(time.Duration(rng.IntN(13_000)) * time.Millisecond) }
	storms(t, cfg, meddle, func(t *testing.T, _ *storm, f *Family) {
		assert.Greater(t, passivations(f), uint64(0))
	})
}

func TestG3_GivingUpCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		for range 10 {
			require.True(t, b.TryAcquire(Request{}).Allowed)
		}
		var impatient, patient roomtest.Callers
		for i := range 100 { // they all come first, and give up at every moment until right before their turn
			ctx := roomtest.Within(t, time.Duration(i+1)*60*time.Millisecond-1)
			impatient.Call(func() error { _, err := b.Acquire(ctx, Request{Nice: -10}); return err })
		}
		synctest.Wait()
		start := time.Now()
		for range 10 {
			patient.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		patient.Wait()
		assert.Equal(t, 10, patient.Ended()["granted"])
		assert.Equal(t, 6*time.Second, time.Since(start), "those who gave up have spent nothing")
		impatient.Wait()
		assert.Equal(t, 100, impatient.Ended()["gave up"])
	})
}

// TestG3_AGrantThatComesTooLateIsGivenBack has the context end and the turn come at the same instant, many times.
func TestG3_AGrantThatComesTooLateIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}})
		b := f.Bucket("user")
		var l ledger
		gaveUp := 0
		for range 200 {
			_, err := b.Acquire(roomtest.Within(t, time.Second), Request{})
			if err == nil {
				l.add(ledgerEntry{at: time.Now(), cost: 1})
			} else {
				gaveUp++
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Zero(t, b.Info().Limits[0].Used, "what was granted to nobody does not count")
			}
		}
		assert.Equal(t, 1, l.worst(time.Second))
		assert.NotZero(t, gaveUp, "nobody gave up at the very moment of their turn")
	})
}

// TestG3_AGrantThatCrossesWithGivingUpIsGivenBack has callers give up after they were granted and before they know.
func TestG3_AGrantThatCrossesWithGivingUpIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Name: "api", Events: 1, Per: time.Hour}}}, roomtest.Deterministic())
		gaveUp := 0
		for range 500 {
			b := f.Bucket("user")
			first, err := b.Acquire(context.Background(), Request{})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			var second Permit
			var c roomtest.Callers
			c.Call(func() (err error) { second, err = b.Acquire(ctx, Request{}); return err })
			synctest.Wait()
			first.Settle(map[string]int{"api": 0}) // gives the second its turn, on this goroutine
			cancel()
			c.Wait()
			if c.Ended()["gave up"] == 1 {
				gaveUp++
				require.Zero(t, b.Info().Limits[0].Used, "granted to a caller who had given up")
			}
			second.Settle(map[string]int{"api": 0})
		}
		assert.NotZero(t, gaveUp, "nobody gave up between their grant and hearing of it")
	})
}

func TestG3_AnAbandonedHeadIsNotCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		e, err := f.children.Get("user")
		require.NoError(t, err)
		w, g := newWaiter(), &e.Value
		w.entry = e
		require.True(t, w.decide(abandoned)) // and the word of it has not reached the actor
		g.mu.Lock()
		g.state.admit(time.Now(), 0, &g.state.rules.one, &w.ticket)
		g.state.join(&w.ticket)
		g.mu.Unlock()
		f.crowd.Enter()
		f.children.Send(e, wake{})
		synctest.Wait()
		assert.Zero(t, f.Bucket("user").Info().Limits[0].Used)
		assert.Zero(t, f.Info().Waiting)
	})
}

func TestG4_EveryoneIsAnswered(t *testing.T) {
	meddle := func(rng *rand.Rand, f *Family) {
		switch rng.IntN(5) {
		case 0:
			crash(f, "user")
		case 1:
			f.Bucket("user").Throttle(time.Now().Add(time.Duration(rng.IntN(5000)) * time.Millisecond))
		case 2:
			f.Throttle(time.Now().Add(time.Duration(rng.IntN(5000)) * time.Millisecond))
		case 3:
			_ = f.SetLimits(limit.Limit{Name: "api", Events: 5 + rng.IntN(6), Per: 6 * time.Second})
		case 4:
			time.Sleep(15 * time.Second)
		}
	}
	cfg := Config{Limits: []limit.Limit{tenIn6s}, Idle: time.Second, MaxWaiting: 20}
	storms(t, cfg, meddle, nil)
	storms(t, cfg, meddle, nil, roomtest.Deterministic())
}

func TestG5_WaitingIsBoundedAndRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, MaxWaiting: 100})
		b := f.Bucket("user")
		var c roomtest.Callers
		start := time.Now()
		for range 1100 { // ten times what may wait
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		assert.Equal(t, 990, c.Ended()["full"])
		assert.Zero(t, time.Since(start), "at once")
		assert.Equal(t, 100, b.Info().Waiting)

		_, err := b.Acquire(context.Background(), Request{})
		var full *FullError
		require.ErrorAs(t, err, &full)
		assert.Equal(t, FullError{Family: "test", ID: "user", Waiting: 100, Limit: "api", RetryAfter: 6 * time.Second}, *full)
		c.Wait()
		assert.Equal(t, 110, c.Ended()["granted"])
	})
}

func TestG5_TheHeapStaysFlatUnderOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a longer overload")
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 10, Per: time.Second}}, MaxWaiting: 100, Idle: time.Second})
		overload := func(seconds int) {
			for range seconds * 10 {
				var c roomtest.Callers
				for range 100 { // ten times what the limit lets through
					c.Call(func() error {
						ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
						defer cancel()
						_, err := f.Bucket("user").Acquire(ctx, Request{})
						return err
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

func TestG7_OrderThroughTheActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}})
		b := f.Bucket("user")
		var c roomtest.Callers
		var l ledger
		for i, nice := range []int{5, 5, -3, 0, 5, -3, -20, 19} {
			c.Call(func() error {
				_, err := b.Acquire(context.Background(), Request{Nice: nice})
				l.add(ledgerEntry{at: time.Now(), label: i})
				return err
			})
			synctest.Wait() // one after the other
		}
		c.Wait()
		assert.Equal(t, []int{0, 6, 2, 5, 3, 1, 4, 7}, l.labels())
	})
}

func TestG7_AnUrgentTryIsNotHeldUpByABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Tornex())
		b := f.Bucket("user")
		var c roomtest.Callers
		for range 5 {
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{Nice: 10}); return err })
		}
		synctest.Wait()
		require.Equal(t, 5, b.Info().Waiting)
		assert.True(t, b.TryAcquire(Request{Nice: -10}).Allowed)
		assert.False(t, b.TryAcquire(Request{Nice: 10}).Allowed)
		c.Wait()
	})
}

func TestAPanicIsNotTheCallersWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		var c roomtest.Callers
		for range 30 {
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		crash(f, "user")
		crash(f, "user")
		c.Wait()
		assert.Equal(t, 30, c.Ended()["granted"], "they waited through it: %v", c.Strange())
		assert.EqualValues(t, 2, f.sys.Info().Tree.Restarted)
	})
}

// TestG4_APanicInTheMiddleOfAGrantIsAnswered leaves the actor as a panic between deciding and granting would.
func TestG4_APanicInTheMiddleOfAGrantIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		e, err := f.children.Get("user")
		require.NoError(t, err)
		w, g := newWaiter(), &e.Value
		w.entry = e
		f.crowd.Enter()
		g.mu.Lock()
		g.state.admit(time.Now(), 0, &g.state.rules.one, &w.ticket)
		g.state.join(&w.ticket)
		require.True(t, w.decide(answered))
		(&bucketActor{entry: e, inHand: w}).tell()
		assert.ErrorIs(t, <-w.reply, errInterrupted)
		assert.Zero(t, f.Info().Waiting)
		assert.Zero(t, f.Bucket("user").Info().Waiting)
		assert.True(t, f.Bucket("user").TryAcquire(Request{Cost: 10}).Allowed, "nothing was charged, and nobody is in line")
	})
}
