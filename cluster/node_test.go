package cluster

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/store/lease"
)

const leaseTime = 3 * time.Second

// joinAs joins with a system of its own.
func joinAs(t *testing.T, m *memory, name string) *Node {
	t.Helper()
	n, err := join(context.Background(), roomtest.System(t), Config{Name: name, Advertise: name + ":1", Leases: m}, m.now)
	require.NoError(t, err)
	return n
}

// owned is how many shards a node serves.
func owned(n *Node) (total int) {
	for shard := range n.cfg.Shards {
		if _, ok := n.Epoch(shard); ok {
			total++
		}
	}
	return total
}

func TestJoinAndLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := joinAs(t, m, "a")
		synctest.Wait()
		require.Equal(t, 256, owned(a), "who is alone owns all, at once")
		b := joinAs(t, m, "b")
		time.Sleep(leaseTime)
		require.Equal(t, 128, owned(a))
		require.Equal(t, 128, owned(b))
		for shard := range 256 {
			_, atA := a.Epoch(shard)
			_, atB := b.Epoch(shard)
			require.NotEqual(t, atA, atB)
			at, ok := b.Owner(shard)
			require.True(t, ok)
			require.Equal(t, atA, at.Name == "a")
			require.Equal(t, at.Name+":1", at.Address)
			epoch, _ := map[bool]*Node{true: a, false: b}[atA].Epoch(shard)
			require.Equal(t, at.Epoch, epoch)
		}
		require.NoError(t, a.Leave(context.Background()))
		require.Zero(t, owned(a))
		require.NoError(t, a.Leave(context.Background()))
		time.Sleep(leaseTime / 2)
		require.Equal(t, 256, owned(b))
		_, err := join(context.Background(), roomtest.System(t), Config{Name: "a", Leases: m}, m.now)
		require.NoError(t, err, "its name is free")
	})
}

func TestG11_WhatADeadNodeOwnedIsOwnedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := joinAs(t, m, "a"), joinAs(t, m, "b")
		time.Sleep(2 * leaseTime)
		m.cut("a", true) // as good as dead, for all others
		time.Sleep(leaseTime - leaseTime/10)
		require.Zero(t, owned(a), "it stops before its lease ends")
		require.False(t, a.Info().Serving)
		require.ErrorIs(t, a.Info().Err, errAway)
		time.Sleep(leaseTime/10 + leaseTime/3 + leaseTime/10)
		require.Equal(t, 256, owned(b))
		m.cut("a", false)
		events := a.Subscribe(1000)
		time.Sleep(leaseTime)
		require.Equal(t, 128, owned(a))
		require.Equal(t, 1, a.Info().Lost)
		require.NoError(t, a.Info().Err)
		require.Equal(t, Lost, (<-events.Events()).Kind)
	})
}

func TestG11_OwnersServeWhileTheStoreIsAwayUntilTheirLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a, b := joinAs(t, m, "a"), joinAs(t, m, "b")
		time.Sleep(2 * leaseTime)
		m.cut("", true)
		time.Sleep(leaseTime / 2)
		require.Equal(t, 128, owned(a))
		time.Sleep(leaseTime)
		require.Zero(t, owned(a)+owned(b))
		calls := m.count()
		time.Sleep(time.Minute)
		require.LessOrEqual(t, m.count()-calls, 2*6*20, "it is asked six times a lease at most, by each")
		m.cut("", false)
		time.Sleep(2 * leaseTime)
		require.Equal(t, 256, owned(a)+owned(b))
		require.Equal(t, 128, owned(a))
	})
}

func TestANameThatIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		u := &unruly{memory: m}
		first, err := join(context.Background(), roomtest.System(t), Config{Name: "a", Leases: u}, u.now)
		require.NoError(t, err)
		_, err = join(roomtest.Within(t, time.Minute), roomtest.System(t), Config{Name: "a", Leases: m}, m.now)
		require.ErrorIs(t, err, lease.ErrNameTaken)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		dead := func(context.Context) { panic("it is as good as dead") }
		u.how.Store(&dead)
		start := time.Now()
		second := joinAs(t, m, "a")
		require.Less(t, time.Since(start), leaseTime*3/2)
		require.Greater(t, time.Since(start), leaseTime/2, "after the first one's lease")
		synctest.Wait()
		require.Equal(t, 256, owned(second))
		require.Zero(t, owned(first))
	})
}

func TestJoinThatCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Join(context.Background(), nil, Config{Name: "a", Leases: newMemory()})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		sys := roomtest.System(t)
		_, err = Join(context.Background(), sys, Config{Name: strings.Repeat("x", 513), Advertise: "\xff", Lease: time.Millisecond, Shards: -1})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		for _, field := range []string{"Name", "Advertise", "Leases", "Lease is 1ms", "Shards"} {
			require.ErrorContains(t, err, field)
		}
		m := newMemory()
		m.cut("", true)
		_, err = join(roomtest.Within(t, time.Minute), sys, Config{Name: "a", Leases: m}, m.now)
		require.ErrorIs(t, err, errAway)
		require.Nil(t, Of(sys), "it is no node")
		m.cut("", false)
		n, err := join(context.Background(), sys, Config{Name: "a", Leases: m}, m.now)
		require.NoError(t, err, "and may become one")
		require.Same(t, n, Of(sys))
		_, err = join(context.Background(), sys, Config{Name: "b", Leases: m}, m.now)
		require.ErrorIs(t, err, penstock.ErrExists)
		require.NoError(t, sys.Close(context.Background()))
		require.Empty(t, m.book.members, "the system's Close leaves")
		_, err = join(context.Background(), sys, Config{Name: "a", Leases: m}, m.now)
		require.ErrorIs(t, err, penstock.ErrClosed)
	})
}

func TestLeaveWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := joinAs(t, m, "a")
		m.cut("", true)
		err := a.Leave(roomtest.Within(t, time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "ends by itself")
		require.Zero(t, owned(a))
		m.cut("", false)
		b := joinAs(t, m, "b")
		time.Sleep(2 * leaseTime)
		require.Equal(t, 256, owned(b))
	})
}

// unruly is a store that does what a store must not.
type unruly struct {
	*memory
	how atomic.Pointer[func(ctx context.Context)]
}

func (u *unruly) Renew(ctx context.Context, who lease.Member, ttl time.Duration) (lease.View, error) {
	if how := u.how.Load(); how != nil {
		(*how)(ctx)
	}
	return u.memory.Renew(ctx, who, ttl)
}

func TestAStoreThatMisbehaves(t *testing.T) {
	for name, how := range map[string]func(context.Context){
		"panics": func(context.Context) { panic("boom") },
		"exits":  func(context.Context) { runtime.Goexit() },
		"hangs":  func(ctx context.Context) { <-ctx.Done(); time.Sleep(time.Second) },
	} {
		synctest.Test(t, func(t *testing.T) {
			u := &unruly{memory: newMemory()}
			n, err := join(context.Background(), roomtest.System(t), Config{Name: "a", Leases: u}, u.now)
			require.NoError(t, err)
			synctest.Wait()
			require.Equal(t, 256, owned(n), name)
			u.how.Store(&how)
			time.Sleep(2 * leaseTime)
			require.Zero(t, owned(n), name)
			u.how.Store(nil)
			time.Sleep(2 * leaseTime)
			require.Equal(t, 256, owned(n), name)
		})
	}
}

func TestEventsTellOfShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := joinAs(t, m, "a")
		synctest.Wait()
		events := a.Subscribe(1000)
		b := joinAs(t, m, "b")
		time.Sleep(2 * leaseTime)
		synctest.Wait()
		require.Len(t, events.Events(), 128)
		for range 128 {
			e := <-events.Events()
			require.Equal(t, Dropped, e.Kind)
			require.EqualValues(t, 1, e.Epoch)
			epoch, ok := b.Epoch(e.Shard)
			require.True(t, ok)
			require.EqualValues(t, 2, epoch)
		}
		i := a.Info()
		require.Equal(t, []MemberInfo{{"a", "a:1", 128}, {"b", "b:1", 128}}, i.Members)
		require.Equal(t, 128, i.Owned)
		require.True(t, i.Serving)
		require.Positive(t, i.Left)
		require.NoError(t, a.Leave(context.Background()))
		for range events.Events() { //nolint:revive // it ends
		}
		_, ok := a.Epoch(-1)
		require.False(t, ok)
		_, ok = a.Epoch(256)
		require.False(t, ok)
	})
}

func TestG6_NothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails unless every goroutine has ended
		m := newMemory()
		for _, name := range []string{"a", "b", "c"} {
			joinAs(t, m, name)
		}
		time.Sleep(time.Minute)
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		sys := roomtest.System(t, penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
		m := newMemory()
		n, err := join(context.Background(), sys, Config{Name: "a", Leases: m}, m.now)
		require.NoError(t, err)
		synctest.Wait()
		m.cut("", true)
		time.Sleep(leaseTime / 2)
		series := roomtest.Series(t, reader, "penstock.node", "penstock.call", "penstock.outcome")
		require.EqualValues(t, 256, series["penstock.cluster.shards a"])
		require.EqualValues(t, 1, series["penstock.cluster.members a"])
		require.InDelta(t, n.Info().Left.Seconds(), series["penstock.cluster.lease a"], 1e-9)
		require.EqualValues(t, 0, series["penstock.cluster.lost a"])
		require.EqualValues(t, 2, series["penstock.cluster.call a renew ok"], "the second one confirms what was taken")
		require.EqualValues(t, 1, series["penstock.cluster.call a take ok"])
		require.Positive(t, series["penstock.cluster.call a renew failed"])
		m.cut("", false)
		require.NoError(t, n.Leave(context.Background()))
		require.NotContains(t, roomtest.Series(t, reader, "penstock.node", "penstock.call", "penstock.outcome"), "penstock.cluster.shards a")
	})
}
