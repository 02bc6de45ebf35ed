package bucket

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestFamilyCloseLeavesTheSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

func TestG4_CloseAnswersEveryone(t *testing.T) {
	for _, patience := range []time.Duration{0, time.Second, 7 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
			var c roomtest.Callers
			for _, id := range ids(5) {
				for range 40 {
					c.Call(func() error { _, err := f.Bucket(id).Acquire(context.Background(), Request{}); return err })
				}
			}
			synctest.Wait()
			err := f.Close(roomtest.Within(t, patience))
			c.Wait()
			assert.Equal(t, 200, c.Total())
			switch patience {
			case time.Hour:
				assert.NoError(t, err)
				assert.Equal(t, 200, c.Ended()["granted"])
			case 7 * time.Second:
				assert.Equal(t, 100, c.Ended()["granted"])
				fallthrough
			default:
				assert.ErrorContains(t, err, "turned away")
				assert.Equal(t, 200-c.Ended()["granted"], c.Ended()["closed"])
			}
		})
	}
}

func TestG6_CloseLeavesNothing(t *testing.T) { // a goroutine or timer left behind fails the bubble
	synctest.Test(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		require.NoError(t, sys.Close(context.Background()), "before any use")

		sys, err = penstock.New()
		require.NoError(t, err)
		f, err := NewFamily(sys, "test", Config{Limits: []limit.Limit{tenIn6s}})
		require.NoError(t, err)
		var c roomtest.Callers
		for _, id := range ids(50) {
			for range 15 {
				c.Call(func() error { _, err := f.Bucket(id).Acquire(context.Background(), Request{}); return err })
			}
		}
		synctest.Wait()
		for range 3 { // under load, several times at once
			c.Call(func() error { return sys.Close(roomtest.Within(t, time.Second)) })
		}
		c.Wait()
		assert.Zero(t, f.Len())
		_, err = f.Bucket("user-0").Acquire(context.Background(), Request{})
		assert.ErrorIs(t, err, penstock.ErrClosed)
		assert.ErrorIs(t, f.Bucket("new").TryAcquire(Request{}).Err, penstock.ErrClosed)
		assert.Error(t, sys.Close(context.Background()), "the answer of the first Close")
		_, err = NewFamily(sys, "late", Config{Limits: []limit.Limit{tenIn6s}})
		assert.ErrorIs(t, err, penstock.ErrClosed)
	})
}

func TestG6_NoTimerOutlivesItsActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{{Events: 1, Per: time.Hour}}})
		var c roomtest.Callers
		for range 2 {
			c.Call(func() error { _, err := f.Bucket("user").Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		e, ok := f.children.Lookup("user")
		require.True(t, ok)
		require.Error(t, f.Close(roomtest.Within(t, time.Second)))
		c.Wait()
		used := e.Value.LastUsed()
		time.Sleep(2 * time.Hour)
		assert.Equal(t, used, e.Value.LastUsed(), "something was sent to the bucket after it was closed")
	})
}

func TestChangesAfterCloseOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}})
		b := f.Bucket("user")
		require.True(t, b.TryAcquire(Request{}).Allowed)
		require.NoError(t, f.Close(context.Background()))
		require.NoError(t, f.SetSlack(time.Second))
		r := f.rules.Load()
		assert.False(t, r.fast)
		assert.ErrorIs(t, r.refusal, penstock.ErrClosed)
		assert.ErrorIs(t, b.TryAcquire(Request{}).Err, penstock.ErrClosed)
	})
}
