package queuetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/limit"
)

func empty(t testing.TB, cfg Config) {
	h := newBench(t, cfg)
	h.check()
	_, ok := h.out()
	require.False(t, ok, "Out of an empty one")
	require.Empty(t, h.timedOut(time.Second))
	require.False(t, h.b.Remove(&queue.Item[int]{Seq: 1}), "Remove of what was never put in")
	require.Equal(t, limit.Never, h.b.Due(h.now, 0), "Due of an empty one")
	require.Equal(t, limit.Never, h.b.Due(h.now, time.Second), "Due of an empty one")
	require.NoError(t, h.b.Close())
}

// assorted puts so many items in that differ in everything.
func (h *bench) assorted(n int) (list []*queue.Item[int]) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		x := h.in(rng.IntN(40)-20, []string{"", "a", "b", "c"}[rng.IntN(4)], rng.IntN(4), rng.IntN(5))
		h.check()
		h.now = h.now.Add(time.Duration(rng.IntN(3)) * time.Millisecond)
		list = append(list, x)
	}
	return list
}

func once(t testing.TB, cfg Config) {
	h := newBench(t, cfg)
	list := h.assorted(100)
	require.Len(t, h.drain(), len(list))
	for range 3 { // it is as good as new
		h.assorted(5)
		h.drain()
	}
}

func removed(t testing.TB, cfg Config) {
	h := newBench(t, cfg)
	for i, x := range h.assorted(60) {
		if i%3 == 0 {
			continue
		}
		require.True(t, h.b.Remove(x), "Remove of item %d, which waits", x.Seq)
		h.gone(x, "Remove")
		h.check()
		require.False(t, h.b.Remove(x), "a second Remove of item %d", x.Seq)
		h.check()
	}
	for _, x := range h.drain() {
		require.False(t, h.b.Remove(x), "Remove of item %d, which went", x.Seq)
	}
	other := newBench(t, cfg)
	x := other.in(0, "", 1, 1)
	h.in(0, "", 1, 1)
	require.False(t, h.b.Remove(x), "Remove of an item that waits elsewhere")
	other.check()
	h.check()
}

func comesBack(t testing.TB, cfg Config) {
	h := newBench(t, cfg)
	for range 10 {
		h.in(0, "a", 1, 1)
		h.now = h.now.Add(time.Microsecond)
	}
	for range 20 {
		x, ok := h.out()
		require.True(t, ok)
		h.now = h.now.Add(time.Microsecond)
		h.add(x) // to where it was
		h.check()
	}
	x := h.waiting[4]
	require.True(t, h.b.Remove(x))
	h.gone(x, "Remove")
	h.add(x)
	h.check()
	require.Len(t, h.drain(), 10)
}

func timeOuts(t testing.TB, cfg Config) {
	const maxTime = time.Second
	h := newBench(t, cfg)
	for i := range 10 { // two of each time
		h.in(i%3, "a", 1, 1)
		h.in(-i%4, "b", 2, 3)
		h.now = h.now.Add(10 * time.Millisecond)
	}
	require.Empty(t, h.b.TimedOut(start, 0), "there is no bound")
	require.Empty(t, h.b.TimedOut(start, time.Nanosecond), "nobody has waited yet")
	for i := range 10 {
		at := start.Add(time.Duration(i)*10*time.Millisecond + maxTime)
		h.now = at.Add(-1)
		before := len(h.waiting)
		list := h.timedOut(maxTime)
		h.check()
		if !cfg.Sheds {
			require.Empty(t, list, "a nanosecond early")
			require.Len(t, h.waiting, before)
		}
		h.now = at
		list = h.timedOut(maxTime)
		h.check()
		if !cfg.Sheds {
			require.Len(t, list, 2, "at its time")
		}
	}
	require.Empty(t, h.waiting)
	h.drain()
}

func due(t testing.TB, cfg Config) {
	const maxTime = time.Second
	h := newBench(t, cfg)
	h.in(0, "", 1, 1)
	h.now = h.now.Add(300 * time.Millisecond)
	h.in(5, "a", 1, 1)
	h.timedOut(maxTime)
	for looks := 0; len(h.waiting) > 0; looks++ {
		require.Less(t, looks, 1000, "Due has the queue look again and again for nothing")
		wait := h.b.Due(h.now, maxTime)
		require.NotEqual(t, limit.Never, wait, "items wait, and none will ever time out")
		require.Positive(t, wait, "something is due now, and was not there")
		require.LessOrEqual(t, h.now.Add(wait), h.waiting[0].At.Add(maxTime), "Due is too late")
		h.now = h.now.Add(wait)
		h.timedOut(maxTime)
	}
	require.Equal(t, limit.Never, h.b.Due(h.now, maxTime))
}

func closes(t testing.TB, cfg Config) {
	h := newBench(t, cfg)
	h.assorted(20)
	require.NoError(t, h.b.Close())
}
