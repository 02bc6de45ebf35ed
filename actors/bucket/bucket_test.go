package bucket

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

func TestTryAcquireSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

func TestHeadroomIsOfTheLimitsNotOfTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

func TestBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		defer sys.Close(context.Background())
		_, err = NewFamily(sys, "bad", Config{
			Limits:     []limit.Limit{{Events: 0, Per: time.Second}, {Events: 1}, {Name: "a", Events: 1, Per: time.Second}, {Name: "a", Events: 2, Per: time.Second}},
			Headroom:   Headroom{Classes: []Class{{MaxNice: 50, Share: 2}, {MaxNice: 5, Share: 0}}, Lift: -1},
			MaxWaiting: -1, MaxBuckets: -1, Aging: -1, Idle: -1, Slack: -1, Clustered: true, Shadow: true,
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
