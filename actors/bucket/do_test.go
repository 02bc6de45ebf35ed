package bucket

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestB13_IdenticalRequestsShareOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 2, Per: time.Second}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{Cost: 2}).Allowed)
		runs := 0
		fetch := func(ctx context.Context) (string, error) {
			runs++
			time.Sleep(time.Second)
			return "profile", ctx.Err()
		}
		var c roomtest.Callers
		for i := range 50 { // some while the first one waits, some while it runs
			c.Call(func() error {
				time.Sleep(time.Duration(i) * 35 * time.Millisecond)
				v, err := Do(context.Background(), b, Request{Key: "profile"}, fetch)
				assert.Equal(t, "profile", v)
				return err
			})
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 50}, c.Ended())
		assert.Equal(t, 1, runs)
		assert.EqualValues(t, 2, b.Info().Passed, "and was charged once")
		_, err := Do(context.Background(), b, Request{Key: "profile"}, fetch)
		require.NoError(t, err)
		assert.Equal(t, 2, runs, "what has ended is not shared")
	})
}

func TestB13_TheRunEndsWithTheLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
		var c roomtest.Callers
		for i, patience := range []time.Duration{time.Second, 5 * time.Second, 3 * time.Second} {
			ctx := roomtest.Within(t, patience)
			if i == 0 {
				ctx = context.WithValue(ctx, key{}, "first")
			}
			c.Call(func() error { _, err := Do(ctx, b, Request{Key: "k"}, fn); return err })
			synctest.Wait()
		}
		c.Wait()
		synctest.Wait()
		assert.Equal(t, map[string]int{"gave up": 3}, c.Ended())
		assert.Equal(t, 5*time.Second, cancelled)
		assert.Zero(t, f.Info().Waiting)
	})
}

func TestB13_PanicsAndGoexitReachEveryCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		var c roomtest.Callers
		for range 3 {
			c.Call(func() error {
				_, err := Do(context.Background(), f.Bucket("user"), Request{Key: "panic"}, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					panic("boom")
				})
				return err
			})
			c.Call(func() error {
				_, err := Do(context.Background(), f.Bucket("user"), Request{Key: "exit"}, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					t.SkipNow() // runtime.Goexit
					return 0, nil
				})
				assert.ErrorIs(t, err, errGoexit)
				return nil
			})
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 3, "panicked": 3}, c.Ended())
	})
}

func TestB13_TheMostUrgentCallerSetsTheUrgency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		var c roomtest.Callers
		var order []string
		ask := func(nice int, key, name string) {
			c.Call(func() error {
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
		c.Wait()
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
		f.crowd.Leave(1)
	}
}

func TestB13_EveryCallerIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, MaxWaiting: 2})
		b := f.Bucket("user")
		fn := func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil }
		var c roomtest.Callers
		for range 3 {
			c.Call(func() error { _, err := Do(context.Background(), b, Request{Key: "k"}, fn); return err })
		}
		synctest.Wait()
		assert.Equal(t, map[string]int{"full": 1}, c.Ended(), "as many share a run as may wait")
		for _, bad := range []Request{{Key: "k", Nice: 99}, {Key: "k", Cost: -5}, {Key: "k", Cost: 11}} {
			_, err := Do(context.Background(), b, bad, fn)
			assert.ErrorIs(t, err, penstock.ErrInvalid)
		}
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 2, "full": 1}, c.Ended())
	})
}

func TestB13_ResultTypesAreNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		var c roomtest.Callers
		c.Call(func() error {
			v, err := Do(context.Background(), b, Request{Key: "k"}, func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil })
			assert.Equal(t, 7, v)
			return err
		})
		c.Call(func() error {
			v, err := Do(context.Background(), b, Request{Key: "k"}, func(context.Context) (error, error) { time.Sleep(time.Second); return nil, nil })
			assert.NoError(t, v)
			return err
		})
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 2}, c.Ended())
	})
}
