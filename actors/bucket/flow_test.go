package bucket

import (
	"context"
	"strings"
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

// even lets one unit of cost go every ten milliseconds.
var even = limit.Limit{Name: "api", Events: 100, Per: time.Second, Algorithm: limit.Smooth, Burst: 5}

// askers are callers that ask again as soon as they have had their turn.
type askers struct {
	many, cost int
}

// shares has these askers wait at one bucket for half a minute, and returns which part of the limit each kind got. meddle
// is called once a second, unless it is nil.
func shares(t *testing.T, weights map[string]int, flow func(name string) string, meddle func(second int, f *Family)) map[string]float64 {
	kinds := map[string]askers{"greedy": {100, 1}, "modest": {20, 3}, "small": {4, 5}}
	got := make(map[string]float64)
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{even}, Weights: weights})
		ctx := roomtest.Within(t, 30*time.Second+time.Millisecond)
		var mu sync.Mutex
		var c roomtest.Callers
		sum := 0.0
		for name, kind := range kinds {
			for range kind.many {
				c.Call(func() error {
					for {
						if _, err := f.Bucket("user").Acquire(ctx, Request{Flow: flow(name), Cost: kind.cost}); err != nil {
							return err
						}
						mu.Lock()
						got[name] += float64(kind.cost)
						sum += float64(kind.cost)
						mu.Unlock()
					}
				})
			}
		}
		for second := range 29 {
			time.Sleep(time.Second)
			if meddle != nil {
				meddle(second, f)
			}
		}
		c.Wait()
		require.Equal(t, map[string]int{"gave up": 124}, c.Ended())
		require.Greater(t, sum, 2000.0)
		for name := range got {
			got[name] /= sum
		}
	})
	return got
}

func own(name string) string { return name }

func TestG7_FlowsShareByWeight(t *testing.T) {
	equal := shares(t, nil, own, nil)
	for name, share := range equal {
		assert.InEpsilon(t, 1.0/3, share, 0.05, name)
	}
	weighted := shares(t, map[string]int{"small": 4, "modest": 2}, own, nil)
	assert.InEpsilon(t, 4.0/7, weighted["small"], 0.05)
	assert.InEpsilon(t, 2.0/7, weighted["modest"], 0.05)
	assert.InEpsilon(t, 1.0/7, weighted["greedy"], 0.05)

	control := shares(t, nil, func(string) string { return "" }, nil)
	assert.Greater(t, control["greedy"], 0.5, "without flows who asks most gets most: the test can tell")
	assert.Less(t, control["small"], 0.2)
}

func TestG7_FlowsShareWhileLimitsChangeAndActorsFail(t *testing.T) {
	got := shares(t, map[string]int{"small": 2}, own, func(second int, f *Family) {
		l := even
		l.Events += 50 * (second%3 - 1)
		require.NoError(t, f.SetLimits(l))
		if second%10 == 5 {
			crash(f, "user")
		}
	})
	assert.InEpsilon(t, 2.0/4, got["small"], 0.05)
	assert.InEpsilon(t, 1.0/4, got["modest"], 0.05)
	assert.InEpsilon(t, 1.0/4, got["greedy"], 0.05)
}

func TestG7_AFlowOfOneIsNotDelayedByAFlowOfThousands(t *testing.T) {
	waits := func(flow string) (wait time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			b := newFamily(t, Config{Limits: []limit.Limit{even}}).Bucket("user")
			ctx, cancel := context.WithCancel(context.Background())
			var crowd roomtest.Callers
			for range 3000 {
				crowd.Call(func() error { _, err := b.Acquire(ctx, Request{Flow: "crowd"}); return err })
			}
			synctest.Wait()
			start := time.Now()
			_, err := b.Acquire(context.Background(), Request{Flow: flow})
			require.NoError(t, err)
			wait = time.Since(start)
			cancel()
			crowd.Wait()
		})
		return wait
	}
	assert.LessOrEqual(t, waits("one"), 20*time.Millisecond, "one turn of the crowd at most goes before it")
	assert.Greater(t, waits("crowd"), 20*time.Second, "the control: in the crowd's flow it waits for all of them")
}

// flowing puts a request of a flow in line.
func flowing(s *state, now time.Time, flow string) *ticket {
	t := &ticket{cost: 1, flow: flow}
	s.admit(now, 0, &s.rules.one, t)
	s.join(t)
	return t
}

func TestG3_GivingUpCostsTheFlowNothing(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}}), t0, time.Time{})
	impatient := make(map[*ticket]bool)
	for range 10 {
		for range 20 {
			impatient[flowing(&s, t0, "a")] = true
		}
		flowing(&s, t0, "a")
		flowing(&s, t0, "b")
	}
	now, order, gaveUp := t0, "", 0
	for head := s.head(); head != nil; head = s.head() {
		if impatient[head] { // at the very moment of its turn
			require.True(t, s.dismiss(head))
			gaveUp++
			continue
		}
		now = now.Add(s.due(now))
		s.grant(now)
		order += head.flow
	}
	assert.Equal(t, 200, gaveUp)
	assert.Contains(t, []string{strings.Repeat("ab", 10), strings.Repeat("ba", 10)}, order)
}

func TestG7_FlowsShareOnlyInsideANiceness(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}}), t0, time.Time{})
	arrive := func(nice int, flow string) {
		w := &ticket{cost: 1, flow: flow}
		s.admit(t0, nice, &s.rules.one, w)
		s.join(w)
	}
	for range 3 {
		arrive(0, "a")
		arrive(5, "b")
	}
	arrive(0, "c")
	arrive(5, "a")
	order := ""
	for i := range 8 {
		for _, went := range turns(&s, t0.Add(time.Duration(i)*time.Second)) {
			order += went.flow
		}
	}
	assert.Equal(t, "acaa"+"babb", order)
}

func TestASharedCallIsOfTheFlowOfItsFirstCaller(t *testing.T) {
	served := func(first, second string) (wait time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			b := newFamily(t, Config{Limits: []limit.Limit{even}}).Bucket("user")
			var c roomtest.Callers
			for range 200 {
				c.Call(func() error { _, err := b.Acquire(context.Background(), Request{Flow: "crowd"}); return err })
			}
			synctest.Wait()
			start := time.Now()
			for _, flow := range []string{first, second} {
				c.Call(func() error {
					_, err := Do(context.Background(), b, Request{Key: "k", Flow: flow}, func(context.Context) (int, error) {
						wait = time.Since(start)
						return 0, nil
					})
					return err
				})
				synctest.Wait()
			}
			c.Wait()
			require.Equal(t, map[string]int{"granted": 202}, c.Ended())
		})
		return wait
	}
	assert.LessOrEqual(t, served("one", "crowd"), 20*time.Millisecond)
	assert.Greater(t, served("crowd", "one"), time.Second)
}

func TestReplayHasFlows(t *testing.T) {
	var waits []time.Duration
	cfg := Config{Limits: []limit.Limit{{Events: 1, Per: time.Second}}, Weights: map[string]int{"crowd": 2}}
	r, err := NewReplay(cfg, func(o Outcome) { waits = append(waits, o.Wait) })
	require.NoError(t, err)
	for range 6 {
		require.NoError(t, r.Arrive("u", t0, Request{Flow: "crowd"}))
	}
	late := t0.Add(time.Second / 2)
	require.NoError(t, r.Arrive("u", late, Request{Flow: "one"}))
	r.Finish()
	assert.Equal(t, []time.Duration{0, 1 * time.Second, 2 * time.Second, 2500 * time.Millisecond, 4 * time.Second, 5 * time.Second, 6 * time.Second}, waits)
	assert.ErrorIs(t, r.Arrive("u", late, Request{Flow: "\xff"}), penstock.ErrInvalid)
}

func TestBadFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		aging := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, Aging: time.Second})
		for name, tc := range map[string]struct {
			f    *Family
			flow string
			says string
		}{
			"too long":              {plain, strings.Repeat("x", 513), "Flow has 513 bytes"},
			"not UTF-8":             {plain, "\xff", "not UTF-8"},
			"in a family that ages": {aging, "tenant", "has Aging"},
		} {
			b, r := tc.f.Bucket("u"), Request{Flow: tc.flow}
			_, acquired := b.Acquire(context.Background(), r)
			_, done := Do(context.Background(), b, Request{Flow: tc.flow, Key: "k"}, func(context.Context) (int, error) { return 0, nil })
			for _, err := range []error{b.TryAcquire(r).Err, acquired, done} {
				assert.ErrorIs(t, err, penstock.ErrInvalid, name)
				assert.ErrorContains(t, err, tc.says, name)
			}
			assert.Zero(t, b.Info().Passed, name)
		}
		assert.True(t, plain.Bucket("u").TryAcquire(Request{Flow: strings.Repeat("x", 512)}).Allowed)
		assert.True(t, aging.Bucket("u").TryAcquire(Request{}).Allowed)
	})
}

func TestBadWeights(t *testing.T) {
	bad := Config{Limits: []limit.Limit{tenIn6s}, Aging: time.Second, Weights: map[string]int{
		"none": 0, "too many": 1_000_001, "\xff": 1, strings.Repeat("x", 513): 1,
	}}
	_, err := bad.withDefaults().compile()
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, words := range []string{`Weights["none"] is 0`, `Weights["too many"] is 1000001`, `"\xff"`, "513 bytes", "and so is Aging"} {
		assert.ErrorContains(t, err, words)
	}

	good := Config{Limits: []limit.Limit{tenIn6s}, Weights: map[string]int{"": 2, "a": 1_000_000}}
	r := rulesFor(t, good)
	good.Weights["a"] = 7
	assert.Equal(t, []int{2, 1_000_000, 1}, []int{r.weight(""), r.weight("a"), r.weight("b")}, "the caller's map is the caller's")
}

func TestALineIsMadeForWhoWaits(t *testing.T) {
	s := newState(rulesFor(t, Config{Limits: []limit.Limit{tenIn6s}}), t0, time.Time{})
	s.hold(t0, t0.Add(time.Minute))
	plan, err := s.rules.plan.Change([]limit.Limit{even}, 0)
	require.NoError(t, err)
	s.adopt(t0, s.rules.next().withPlan(plan, Headroom{}))
	require.NotNil(t, s.backlog)
	assert.Nil(t, s.backlog.line, "a throttle or a refusal needs none")
	assert.Nil(t, s.head())
	require.NotNil(t, arrival(&s, t0, 0, 1))
	assert.NotNil(t, s.backlog.line)
}

func TestAFlowOnTheFastWayAllocatesNothing(t *testing.T) {
	b := newFamily(t, Config{Limits: []limit.Limit{{Events: 1e9, Per: time.Second}}}).Bucket("user")
	b.TryAcquire(Request{})
	assert.Zero(t, testing.AllocsPerRun(100, func() { b.TryAcquire(Request{Flow: "tenant"}) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = b.Acquire(context.Background(), Request{Flow: "tenant"}) }))
}
