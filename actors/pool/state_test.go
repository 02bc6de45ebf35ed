package pool

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// account is a pool's state, without the pool.
func account(name string, workers int, memory int64) *state {
	g := &gate{pool: &Pool{name: name}}
	g.state = state{gate: g, maxWorkers: workers, maxMemory: memory, maxStuck: math.MaxInt}
	return &g.state
}

// claims makes claims in the order of their coming.
type claims struct{ seq uint64 }

func (m *claims) of(memory int64, nice int, routes ...route) *claim {
	m.seq++
	return &claim{memory: memory, nice: nice, seq: m.seq, routes: routes}
}

// wait has a claim get in line, where it must not have room.
func wait(t *testing.T, c *claim) {
	t.Helper()
	_, why := c.pass()
	require.NotEqual(t, accepted, why)
	var w stir
	require.False(t, c.climb(&w))
	require.NotEmpty(t, c.places)
	for _, s := range w {
		c, _ := s.advance(&w)
		require.Nil(t, c)
	}
}

func pass(t *testing.T, c *claim) *claim {
	t.Helper()
	_, why := c.pass()
	require.Equal(t, accepted, why)
	return c
}

func TestG10_AClaimTakesAllItsPoolsOrNone(t *testing.T) {
	var m claims
	shared, small := account("shared", 2, 100), account("small", 5, 50)
	pass(t, m.of(60, 0, route{shared}))
	c := m.of(50, 0, route{small, shared})
	at, why := c.pass()
	require.Same(t, shared, at)
	require.Equal(t, NoMemory, why)
	require.Zero(t, small.workers)
	require.Zero(t, small.memory)
}

func TestG7_MuchMemoryIsNotStarvedByLittle(t *testing.T) {
	var m claims
	s := account("s", 100, 100)
	first := pass(t, m.of(60, 0, route{s}))
	large := m.of(90, 0, route{s})
	wait(t, large)
	_, why := m.of(1, 0, route{s}).pass()
	require.Equal(t, NoMemory, why, "the room that is left is kept for who waits")
	small := m.of(1, 0, route{s})
	wait(t, small)
	var w stir
	first.drop(&w)
	c, whole := s.advance(&w)
	require.Same(t, large, c)
	require.True(t, whole)
	c, _ = s.advance(&w)
	require.Same(t, small, c)
}

// A claim that waits for a shared pool keeps what it has below, and is not passed there by claims from elsewhere.
func TestG7_WhoWaitsForASharedPoolIsNotPassedByOthers(t *testing.T) {
	var m claims
	shared, a, b := account("shared", 10, 100), account("a", 10, 100), account("b", 10, 100)
	first := pass(t, m.of(50, 0, route{b, shared}))
	large := m.of(80, 0, route{a, shared})
	wait(t, large)
	require.EqualValues(t, 80, a.memory)
	_, why := m.of(1, 0, route{b, shared}).pass()
	require.NotEqual(t, accepted, why)
	var w stir
	first.drop(&w)
	require.Contains(t, w, shared)
	c, whole := shared.advance(&w)
	require.Same(t, large, c)
	require.True(t, whole)
}

// A full pool of one customer's must not stand in the way of another's.
func TestG7_ACustomersOwnLimitHoldsUpNobodyElse(t *testing.T) {
	var m claims
	shared, a, b := account("shared", 10, 100), account("a", 1, 100), account("b", 10, 100)
	pass(t, m.of(1, 0, route{a, shared}))
	for range 5 {
		wait(t, m.of(1, 0, route{a, shared}))
	}
	require.Zero(t, shared.line.Len())
	pass(t, m.of(1, 0, route{b, shared}))
}

// Customers that wait for a shared pool take turns there, however many tasks one of them has.
func TestG7_PoolsThatShareTakeTurns(t *testing.T) {
	var m claims
	shared, a, b := account("shared", 1, 100), account("a", 10, 100), account("b", 10, 100)
	last := pass(t, m.of(1, 0, route{shared}))
	for range 4 {
		wait(t, m.of(1, 0, route{a, shared}))
	}
	for range 2 {
		wait(t, m.of(1, 0, route{b, shared}))
	}
	var order string
	var w stir
	for range 6 {
		last.drop(&w)
		c, whole := shared.advance(&w)
		require.True(t, whole)
		order += c.asked().gate.pool.name
		last = c
	}
	require.Equal(t, "ababaa", order)
}

func TestP12_TheFirstCandidateWithRoomIsTaken(t *testing.T) {
	var m claims
	x, y, z := account("x", 1, 100), account("y", 1, 100), account("z", 9, 100)
	ways := []route{{z, x}, {z, y}}
	pass(t, m.of(1, 0, ways...))
	require.Equal(t, 1, x.workers)
	pass(t, m.of(1, 0, ways...))
	require.Equal(t, 1, y.workers)
	c := m.of(1, 0, ways...)
	wait(t, c)
	require.Len(t, c.places, 2, "it waits for whichever has room first")
	var w stir
	y.workers--
	got, whole := y.advance(&w)
	require.Same(t, c, got)
	require.True(t, whole)
	require.Zero(t, x.line.Len(), "and is in no other line then")
}

func TestP4_WhatCanNeverFitIsHopeless(t *testing.T) {
	var m claims
	small, large := account("small", 1, 10), account("large", 1, 100)
	require.True(t, m.of(11, 0, route{small}).hopeless())
	require.False(t, m.of(11, 0, route{small}, route{large}).hopeless())
	require.False(t, m.of(10, 0, route{small}).hopeless())
}

// A way that ends at a pool which is too small for the claim is not begun, whatever room there is on it below.
func TestP12_AWayThatCannotCarryATaskIsNotTaken(t *testing.T) {
	var m claims
	a, full, free, small := account("a", 9, 100), account("full", 1, 100), account("free", 9, 100), account("small", 9, 1)
	last := pass(t, m.of(1, 0, route{full}))
	c := m.of(2, 0, route{a, free, small}, route{a, full})
	wait(t, c)
	require.Zero(t, free.workers)
	var w stir
	last.drop(&w)
	got, whole := full.advance(&w)
	require.Same(t, c, got)
	require.True(t, whole)
}
