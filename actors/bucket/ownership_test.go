package bucket

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

var perMinute = limit.Limit{Name: "api", Events: 20, Per: time.Minute}

// inGrid runs a test with families of the nodes a and b, whose first one owns everything, and has done so for a window and more.
func inGrid(t *testing.T, cfg Config, test func(t *testing.T, g *grid, a, b *Family)) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		if cfg.Limits == nil {
			cfg.Limits = []limit.Limit{perMinute}
		}
		f := g.family(cfg, "a", "b")
		time.Sleep(61 * time.Second)
		test(t, g, f[0], f[1])
	})
}

// moveAll gives all shards to a node.
func (g *grid) moveAll(to string, proven bool) {
	for shard := range gridShards {
		g.move(shard, to, proven)
	}
}

func acquire(f *Family, within time.Duration, r Request) (Permit, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return f.Bucket("user").Acquire(ctx, r)
}

func used(f *Family) int { return f.Bucket("user").Info().Limits[0].Used }

func TestG11_AnOldTurnIsNotUsed(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		delay := 30 * time.Millisecond
		g.delay = func() time.Duration { return delay }
		_, err := acquire(b, time.Second, Request{Cost: 3})
		require.ErrorIs(t, err, context.DeadlineExceeded, "there and back takes longer than a turn is good for")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Zero(t, used(a), "what was too old was given back")
		delay = 19 * time.Millisecond
		p, err := acquire(b, time.Second, Request{Cost: 3})
		require.NoError(t, err)
		assert.Equal(t, 3, used(a))
		p.Settle(map[string]int{"api": 1})
		time.Sleep(time.Second)
		assert.Equal(t, 1, used(a))
		p, err = acquire(b, time.Second, Request{})
		require.NoError(t, err)
		p.Settle(map[string]int{"api": 5})
		time.Sleep(time.Second)
		assert.Equal(t, 6, used(a))
	})
}

// A turn that is granted long after it was asked for is young all the same, for the owner hears from who waits.
func TestWhoWaitsLongGetsAYoungTurn(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		require.Equal(t, 20, all(a.Bucket("user")))
		began := time.Now()
		_, err := acquire(b, time.Hour, Request{})
		require.NoError(t, err)
		assert.Less(t, time.Since(began), time.Minute+50*time.Millisecond)
		time.Sleep(time.Second)
		told := g.told
		time.Sleep(time.Minute)
		assert.Equal(t, told, g.told, "nobody waits any more")
	})
}

func TestG11_OnlyTheOwnerGrants(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		bucket := a.Bucket("user")
		require.True(t, bucket.TryAcquire(Request{}).Allowed)
		g.delay = func() time.Duration { return time.Hour } // of the news too
		g.moveAll("b", false)
		assert.Equal(t, Decision{RetryAfter: 10 * time.Millisecond}, bucket.TryAcquire(Request{}))
		_, err := acquire(a, time.Second, Request{})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, "b", bucket.Info().Owner)
	})
}

// Those who wait where the bucket was go on waiting where it is.
func TestG4_WhoWaitsFollowsTheBucket(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		require.Equal(t, 20, all(a.Bucket("user")))
		var c roomtest.Callers
		for i := range 10 {
			c.Call(func() error {
				_, err := acquire([]*Family{a, b}[i%2], time.Hour, Request{})
				return err
			})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 10, a.Bucket("user").Info().Waiting)
		g.moveAll("", false)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Zero(t, a.Bucket("user").Info().Waiting)
		g.moveAll("b", false)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 10, b.Bucket("user").Info().Waiting)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, map[string]int{"granted": 10}, c.Ended())
	})
}

func TestG11_WhatOthersMayHaveGrantedCounts(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		require.True(t, a.Bucket("user").TryAcquire(Request{Cost: 5}).Allowed)
		g.moveAll("a", true)
		time.Sleep(time.Second)
		assert.Equal(t, 5, used(a), "it was its own before: nothing was granted in between")
		g.moveAll("b", false)
		time.Sleep(59 * time.Second)
		assert.Zero(t, all(b.Bucket("user")))
		assert.Zero(t, all(b.Bucket("stranger")))
		time.Sleep(2 * time.Second)
		assert.Equal(t, 20, all(b.Bucket("user")))
		g.moveAll("a", false)
		time.Sleep(time.Second)
		assert.Zero(t, all(a.Bucket("user")), "what it knows of its own time is not all")
		time.Sleep(time.Minute)
		assert.Equal(t, 20, all(a.Bucket("user")))
	})
}

func TestRefusalsOfTheOwnerAreTheSameEverywhere(t *testing.T) {
	inGrid(t, Config{MaxWaiting: 1}, func(t *testing.T, g *grid, a, b *Family) {
		require.Equal(t, 20, all(a.Bucket("user")))
		go acquire(b, time.Second, Request{})
		time.Sleep(10 * time.Millisecond)
		for _, f := range []*Family{a, b} {
			_, err := acquire(f, time.Second, Request{})
			full := new(FullError)
			require.ErrorAs(t, err, &full)
			assert.Equal(t, "user", full.ID)
			assert.Equal(t, "api", full.Family)
			assert.Equal(t, "api", full.Limit)
			assert.Equal(t, 1, full.Waiting)
			assert.InDelta(t, time.Minute, full.RetryAfter, float64(time.Second))
			_, err = acquire(f, time.Second, Request{Cost: 21})
			require.ErrorIs(t, err, penstock.ErrInvalid)
		}
		require.NoError(t, a.SetLimits(limit.Limit{Name: "other", Events: 1, Per: time.Minute}))
		_, err := acquire(b, time.Second, Request{Costs: map[string]int{"api": 2}})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, `its owner says: `)
		time.Sleep(time.Minute)
	})
}

func TestThrottlesReachTheOwners(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		b.Bucket("user").Throttle(time.Now().Add(10 * time.Second))
		time.Sleep(5 * time.Second)
		assert.False(t, a.Bucket("user").TryAcquire(Request{}).Allowed)
		assert.True(t, a.Bucket("other").TryAcquire(Request{}).Allowed)
		b.Throttle(time.Now().Add(20 * time.Second))
		time.Sleep(10 * time.Second)
		assert.False(t, a.Bucket("other").TryAcquire(Request{}).Allowed)
		time.Sleep(11 * time.Second)
		assert.True(t, a.Bucket("user").TryAcquire(Request{}).Allowed)
	})
}

func TestAwayRefuses(t *testing.T) {
	inGrid(t, Config{Away: cluster.Refuse}, func(t *testing.T, g *grid, a, b *Family) {
		g.cut("a", true)
		began := time.Now()
		_, err := acquire(b, time.Hour, Request{})
		assert.ErrorIs(t, err, cluster.ErrAway)
		assert.Zero(t, time.Since(began))
	})
}

func TestALocalShareGoesWhileTheOwnerIsAway(t *testing.T) {
	inGrid(t, Config{LocalShare: 0.25}, func(t *testing.T, g *grid, a, b *Family) {
		g.cut("a", true)
		var l ledger
		for range 30 {
			if _, err := acquire(b, 10*time.Second, Request{}); err == nil {
				l.add(ledgerEntry{at: time.Now(), cost: 1})
			} else {
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
		}
		assert.Equal(t, 5, l.worst(time.Minute))
		assert.GreaterOrEqual(t, l.sum(), 15)
		require.ErrorIs(t, b.SetLimits(limit.Limit{Events: 3, Per: time.Minute}), penstock.ErrInvalid)
		require.NoError(t, b.SetLimits(limit.Limit{Name: "api", Events: 40, Per: time.Minute}))
		time.Sleep(2 * time.Minute)
		for range 10 {
			_, err := acquire(b, 10*time.Second, Request{})
			require.NoError(t, err)
		}
		g.cut("a", false)
		_, err := acquire(b, time.Second, Request{})
		require.NoError(t, err)
		time.Sleep(time.Second) // what was lent to b comes back
		assert.Equal(t, 1, used(a))
	})
}

func TestCloseEndsTheWaitForOtherNodes(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		require.Equal(t, 20, all(a.Bucket("user")))
		var c roomtest.Callers
		for i := range 4 {
			c.Call(func() error {
				_, err := acquire([]*Family{a, b}[i%2], time.Hour, Request{})
				return err
			})
		}
		time.Sleep(time.Second)
		require.Error(t, b.Close(roomtest.EndedContext()))
		synctest.Wait()
		assert.Equal(t, map[string]int{"closed": 2}, c.Ended())
		time.Sleep(time.Second)
		require.Equal(t, 2, a.Bucket("user").Info().Waiting)
		require.NoError(t, a.Close(context.Background()))
		c.Wait()
		assert.Equal(t, map[string]int{"closed": 2, "granted": 2}, c.Ended())
	})
}

// The owner's family is closed and the node stays: those who ask it wait for the next owner.
func TestAClosedOwnerSendsNobodyAway(t *testing.T) {
	inGrid(t, Config{}, func(t *testing.T, g *grid, a, b *Family) {
		require.Equal(t, 20, all(a.Bucket("user")))
		var c roomtest.Callers
		c.Call(func() error {
			_, err := acquire(b, time.Hour, Request{})
			return err
		})
		time.Sleep(time.Second)
		require.Error(t, a.Close(roomtest.EndedContext()))
		time.Sleep(time.Minute)
		assert.Empty(t, c.Ended())
		g.moveAll("b", false)
		c.Wait()
		assert.Equal(t, map[string]int{"granted": 1}, c.Ended())
	})
}

func TestClusteredNeedsANode(t *testing.T) {
	sys := roomtest.System(t)
	_, err := NewFamily(sys, "api", Config{Limits: []limit.Limit{perMinute}, Clustered: true})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorContains(t, err, "cluster.Join")
	for what, cfg := range map[string]Config{
		"Transit is 1h":              {Clustered: true, Transit: time.Hour},
		"Transit is 1s and Clus":     {Transit: time.Second},
		"Away is 7":                  {Clustered: true, Away: 7},
		"Away is set and Cl":         {Away: cluster.Refuse},
		"LocalShare is 2":            {Clustered: true, LocalShare: 2},
		"LocalShare is 0.5 and Clus": {LocalShare: 0.5},
		"LocalShare is 0.5 and Away": {Clustered: true, LocalShare: 0.5, Away: cluster.Refuse},
		"less than 1 of limit":       {Clustered: true, LocalShare: 0.01},
		"Shadow is true, and so":     {Clustered: true, Shadow: true},
	} {
		cfg.Limits = []limit.Limit{perMinute}
		_, err := NewFamily(sys, "api", cfg)
		assert.ErrorIs(t, err, penstock.ErrInvalid)
		assert.ErrorContains(t, err, what)
	}
	cfg := Config{Limits: []limit.Limit{perMinute}, Clustered: true}
	_, err = newFamilyAt(sys, "api", cfg, func(cluster.RoomSpec, func(letter)) (node, port, error) { return nil, nil, errors.New("odd") })
	assert.ErrorContains(t, err, "odd")
}
