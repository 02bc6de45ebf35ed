package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// A window against a plain list of what was let go and given back: it never holds more than it may, even if it changes, and gives room as
// soon as there is some, but for a thousandth.
func TestWindowMatchesAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.5, 1, 2.5, 7})
		perSecond := rate.Draw(t, "rate")
		var w window
		now := t0
		w.bound(now, perSecond)
		type turn struct {
			roomtest.Turn
			assumed bool // it may have been before
		}
		taken := []turn{{roomtest.Turn{At: now, Cost: w.most}, true}}
		inWindow := func() (n int) {
			for _, x := range taken {
				if now.Sub(x.At) < w.span {
					n += x.Cost
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 800).Draw(t, "passed")) * time.Millisecond)
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(1, 3).Draw(t, "n")
				wait := w.wait(now, n)
				fits := inWindow()+n <= w.most || inWindow() == 0
				if wait == 0 {
					require.True(t, fits)
				} else {
					require.True(t, !fits || wait <= w.span/marksMost, "%v: neighbours count as the later one, no more", wait)
					require.Less(t, wait, limit.Never)
					now = now.Add(wait)
					require.Zero(t, w.wait(now, n), "it said so")
				}
				w.add(now, n)
				taken = append(taken, turn{roomtest.Turn{At: now, Cost: n}, false})
			},
			"give": func(t *rapid.T) {
				x := &taken[rapid.IntRange(0, len(taken)-1).Draw(t, "which")]
				if x.assumed {
					return
				}
				n := rapid.IntRange(0, x.Cost).Draw(t, "n")
				w.give(x.At, n)
				x.Cost -= n
			},
			"change": func(t *rapid.T) {
				perSecond = rate.Draw(t, "rate")
				keep := w.keep
				w.bound(now, perSecond)
				if w.keep > keep {
					taken = append(taken, turn{roomtest.Turn{At: now, Cost: w.most}, true})
				}
			},
		})
	})
}

// What was let go at any moment of a mark is given back, and what has been forgotten takes nothing from others.
func TestWindowGivesBackWhatItKnows(t *testing.T) {
	var w window
	w.bound(t0, 1_000_000)
	now := t0.Add(2 * time.Second)
	for i := range 3 * marksMost {
		w.wait(now, 1)
		w.add(now.Add(time.Duration(i)*time.Microsecond), 1)
	}
	require.LessOrEqual(t, len(w.marks), marksMost)
	require.Equal(t, 3*marksMost, w.total)
	w.give(now.Add(500*time.Microsecond), 1)
	require.Equal(t, 3*marksMost-1, w.total)
	w.give(t0.Add(time.Second), 1)
	require.Equal(t, 3*marksMost-1, w.total)
}
