package bucket

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
		var c roomtest.Callers
		c.Call(func() error {
			_, err := b.Acquire(context.Background(), Request{Costs: map[string]int{"tokens": 500}})
			return err
		})
		synctest.Wait()
		start = time.Now()
		p.Settle(map[string]int{"tokens": -7}) // taken as 0
		c.Wait()
		assert.Zero(t, time.Since(start), "what was given back goes to who waits, at once")
		Permit{}.Settle(map[string]int{"tokens": 1})
	})
}

func TestG1_SettlingAPermitOfAFormerLifeGivesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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

func TestSettleByTheNameOfTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}}})
		p, err := f.Bucket("user").Acquire(context.Background(), Request{Cost: 5})
		require.NoError(t, err)
		require.NoError(t, f.SetLimits(limit.Limit{Events: 20, Per: 6 * time.Second}))
		p.Settle(map[string]int{"10/6s": 2})
		assert.Equal(t, 2, f.Bucket("user").Info().Limits[0].Used, "the limit is now called 20/6s")
	})
}
