package queuetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/actors/queue"
)

// model does at random what a queue may do, and checks everything after every step.
func model(t testing.TB, cfg Config) {
	rapid.Check(t, func(r *rapid.T) {
		h := newBench(t, cfg)
		h.t = r
		maxTime := time.Duration(rapid.SampledFrom([]int{0, 1, 20, 300}).Draw(r, "maxTime")) * time.Millisecond
		var outside []*queue.Item[int] // what came out and may come back
		steps := rapid.IntRange(1, 60).Draw(r, "steps")
		for range steps {
			switch rapid.SampledFrom([]string{"in", "in", "in", "out", "out", "tick", "tick", "time out", "remove", "back"}).Draw(r, "step") {
			case "in":
				h.in(rapid.IntRange(-2, 2).Draw(r, "nice"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "flow"),
					rapid.IntRange(0, 3).Draw(r, "weight"), rapid.IntRange(0, 3).Draw(r, "cost"))
			case "out":
				if x, ok := h.out(); ok {
					outside = append(outside, x)
				}
			case "tick":
				h.tick(time.Duration(rapid.IntRange(0, 30_000).Draw(r, "µs"))*time.Microsecond, maxTime)
			case "time out":
				h.timedOut(maxTime)
			case "remove":
				if len(h.waiting) > 0 {
					x := h.waiting[rapid.IntRange(0, len(h.waiting)-1).Draw(r, "which")]
					require.True(r, h.b.Remove(x), "Remove of item %d, which waits", x.Seq)
					h.gone(x, "Remove")
					require.False(r, h.b.Remove(x), "a second Remove of item %d", x.Seq)
				}
			case "back":
				if last := len(outside) - 1; last >= 0 {
					x := outside[last]
					outside = outside[:last]
					h.add(x)
				}
			}
			h.check()
		}
		h.drain()
		require.NoError(r, h.b.Close())
	})
}

// tick lets time pass. Before it is due, nothing may time out.
func (h *bench) tick(d, maxTime time.Duration) {
	h.t.Helper()
	h.timedOut(maxTime)
	wait := h.b.Due(h.now, maxTime)
	require.Positive(h.t, wait, "something is due, and was not there")
	if maxTime > 0 && len(h.waiting) > 0 {
		require.LessOrEqual(h.t, h.now.Add(wait), h.waiting[0].At.Add(maxTime), "Due is too late")
	}
	_, could := h.b.Peek(h.now)
	h.now = h.now.Add(d)
	if d < wait {
		require.Empty(h.t, h.timedOut(maxTime), "Due is too late: it said %v, and %v later something timed out", wait, d)
		_, can := h.b.Peek(h.now)
		require.Equal(h.t, could, can, "Due is too late: it said %v, and %v later there was something to go", wait, d)
	}
}
