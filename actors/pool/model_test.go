package pool

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// world is pools without goroutines, and every claim that was ever made, so that the accounts can be checked against a
// naive sum over all of them.
type world struct {
	t       *rapid.T
	pools   []*state
	ways    [][]route // by the pool that is asked
	running []*claim
	waiting []*claim
	seq     uint64
	stir    stir
	over    map[*state][2]int64 // how much too much each may have had after its limits were lowered
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, over: make(map[*state][2]int64)}
	for i := range rapid.IntRange(1, 6).Draw(t, "pools") {
		g := &gate{pool: &Pool{name: fmt.Sprint("p", i)}}
		s := &g.state
		s.gate, s.maxStuck = g, math.MaxInt
		s.maxWorkers = rapid.IntRange(1, 4).Draw(t, "workers")
		s.maxMemory = rapid.Int64Range(1, 40).Draw(t, "memory")
		w.pools = append(w.pools, s)
		ways := []route{{s}}
		if i > 0 { // up to two older pools to choose from, or none
			ways = nil
			for range rapid.IntRange(0, 2).Draw(t, "candidates") {
				above := rapid.IntRange(0, i-1).Draw(t, "above")
				for _, r := range w.ways[above] {
					ways = append(ways, append(route{s}, r...))
				}
			}
			if ways == nil {
				ways = []route{{s}}
			}
		}
		w.ways = append(w.ways, ways)
	}
	return w
}

func (w *world) ask() {
	c := &claim{
		memory: rapid.Int64Range(1, 20).Draw(w.t, "need"),
		nice:   rapid.IntRange(-1, 1).Draw(w.t, "nice"),
		routes: rapid.SampledFrom(w.ways).Draw(w.t, "asked"),
	}
	w.seq++
	c.seq = w.seq
	free := slices.ContainsFunc(c.routes, func(r route) bool {
		return !slices.ContainsFunc(r, func(s *state) bool { return w.naive(s, c.memory) || s.line.Len() > 0 })
	})
	_, why := c.pass()
	require.Equal(w.t, free, why == accepted, "a task is let in at once if and only if one of its ways has room and nobody waits there")
	switch {
	case why == accepted:
		w.running = append(w.running, c)
	case c.hopeless():
		require.Zero(w.t, c.held)
	default:
		if c.climb(&w.stir) {
			w.running = append(w.running, c)
			return
		}
		require.NotEmpty(w.t, c.places)
		w.waiting = append(w.waiting, c)
	}
}

// naive reports whether the pool has no room, from a sum over all claims.
func (w *world) naive(s *state, memory int64) bool {
	workers, taken := w.sum(s)
	return workers+1 > s.maxWorkers || taken+memory > s.maxMemory || s.draining
}

func (w *world) sum(s *state) (workers int, memory int64) {
	for _, c := range slices.Concat(w.running, w.waiting) {
		if slices.Contains(c.holds(), s) {
			workers++
			memory += c.memory
		}
	}
	return workers, memory
}

// settle has every pool that was stirred let in whoever it can, as its actor would.
func (w *world) settle() {
	for len(w.stir) > 0 {
		i := rapid.IntRange(0, len(w.stir)-1).Draw(w.t, "actor")
		s := w.stir[i]
		w.stir = slices.Delete(w.stir, i, i+1)
		for {
			head, any := s.line.Peek()
			c, whole := s.advance(&w.stir)
			if c == nil {
				break
			}
			require.True(w.t, any && head.claim == c)
			for p := range s.line.All() {
				if p.claim.nice == c.nice && below(p.claim, p.claim.held) == below(c, slices.Index(c.holds(), s)) {
					require.Less(w.t, c.seq, p.claim.seq, "equals that come from one pool go in the order of their coming")
				}
				require.LessOrEqual(w.t, c.nice, p.claim.nice, "the more urgent goes first")
			}
			if whole {
				w.waiting = slices.DeleteFunc(w.waiting, func(x *claim) bool { return x == c })
				w.running = append(w.running, c)
			}
		}
	}
}

// below is the pool that the claim holds before the one at this place of its route; nil if there is none.
func below(c *claim, place int) *state {
	if place == 0 {
		return nil
	}
	return c.holds()[place-1]
}

// check compares the accounts with the sums, and looks for somebody who was forgotten.
func (w *world) check() {
	for _, s := range w.pools {
		workers, memory := w.sum(s)
		require.Equal(w.t, workers, s.workers)
		require.Equal(w.t, memory, s.memory)
		over := w.over[s]
		require.LessOrEqual(w.t, int64(workers), max(int64(s.maxWorkers), over[0]), "never more workers than promised")
		require.LessOrEqual(w.t, memory, max(s.maxMemory, over[1]), "never more memory than promised")
		w.over[s] = [2]int64{min(over[0], int64(workers)), min(over[1], memory)}
		if head, ok := s.line.Peek(); ok {
			require.NotEqual(w.t, accepted, s.lacks(head.claim.memory), "the head of a line waits only while there is no room")
		}
	}
	for _, c := range w.waiting {
		require.NotEmpty(w.t, c.places, "whoever waits is in line")
	}
}

func (w *world) release() {
	if len(w.running) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.running)-1).Draw(w.t, "done")
	c := w.running[i]
	w.running = slices.Delete(w.running, i, i+1)
	c.drop(&w.stir)
}

func (w *world) giveUp() {
	if len(w.waiting) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.waiting)-1).Draw(w.t, "gave up")
	c := w.waiting[i]
	w.waiting = slices.Delete(w.waiting, i, i+1)
	c.drop(&w.stir)
	require.Empty(w.t, c.places)
}

func (w *world) change() {
	s := rapid.SampledFrom(w.pools).Draw(w.t, "pool")
	workers, memory := w.sum(s)
	w.over[s] = [2]int64{int64(workers), memory}
	s.maxWorkers = rapid.IntRange(1, 4).Draw(w.t, "workers")
	s.maxMemory = rapid.Int64Range(1, 40).Draw(w.t, "memory")
	for _, c := range slices.Clone(w.waiting) {
		if c.hopeless() {
			w.waiting = slices.DeleteFunc(w.waiting, func(x *claim) bool { return x == c })
			c.drop(&w.stir)
		}
	}
	w.stir.add(s)
}

func TestG10_TheAccountsAgreeWithANaiveSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3, 4:
				w.ask()
			case 5, 6, 7:
				w.release()
			case 8:
				w.giveUp()
			case 9:
				w.change()
			}
			w.settle()
			w.check()
		}
		for len(w.running) > 0 { // everybody ends, and so everybody who waits has a turn
			w.release()
			w.settle()
			w.check()
		}
		require.Empty(t, w.waiting, "nobody waits when nothing runs")
		for _, s := range w.pools {
			require.Zero(t, s.workers)
			require.Zero(t, s.memory)
			require.Zero(t, s.line.Len())
		}
	})
}
