package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

func TestPulse(t *testing.T) {
	now := 10 * time.Second
	p := newPulse(now, patience)
	require.True(t, p.due(now), "it is asked at once")
	require.False(t, p.due(now+199*ms))
	require.True(t, p.due(now+200*ms))
	require.False(t, p.silent(now+patience))
	require.True(t, p.silent(now+patience+1), "who never answers is down after a second")
	require.Equal(t, down, p.state)
	require.False(t, p.silent(now+time.Hour), "and that is no news later")
	require.False(t, p.due(now+1100*ms))
	require.True(t, p.due(now+1200*ms), "it is probed once a second")
	_, known := p.theirs(now)
	require.False(t, known)

	require.False(t, p.answered(now+1300*ms, now+500*ms, 0), "an answer to what was asked before it went down is none")
	require.Equal(t, down, p.state)
	require.True(t, p.answered(now+1300*ms, now+1250*ms, 0))
	require.Equal(t, up, p.state)
	require.False(t, p.answered(now+1400*ms, now+1390*ms, 0), "that it is still up is no news")
	require.False(t, p.answered(now+1410*ms, now+1250*ms, 0), "the same answer does not count twice")
	require.False(t, p.silent(now+2400*ms))

	require.True(t, p.broken(now+2*time.Second))
	require.False(t, p.broken(now+2*time.Second))
	require.True(t, p.due(now+2*time.Second), "who is lost is looked for at once")
	require.False(t, p.answered(now+3500*ms, now+2400*ms, 0), "an answer that took longer than a second is none")
	require.False(t, p.answered(now+3500*ms, now+4*time.Second, 0), "nor is one from the future")
}

func TestWhoWasAwayJudgesNobody(t *testing.T) {
	p := newPulse(0, patience)
	require.True(t, p.answered(20*ms, 10*ms, 0))
	p.excuse(10 * time.Second)
	require.False(t, p.silent(10*time.Second))
	require.False(t, p.silent(11*time.Second))
	require.True(t, p.silent(11*time.Second+1), "but then it does")
	p.excuse(20 * time.Second)
	require.Equal(t, down, p.state, "who is down is not up for that")
}

// TestTheirClockIsNeverReckonedAhead is a model of two machines: whatever the delays, and however unequally their clocks run, what a node
// takes for its peer's clock is never later than that, and after a quick answer it is not much earlier.
func TestTheirClockIsNeverReckonedAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			world time.Duration // of an observer
			start = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "their clock at the start"))
			// Both clocks may be wrong by half of what is allowed for.
			ours   = rapid.Int64Range(-400, 400).Draw(t, "our drift, parts in a million")
			theirs = rapid.Int64Range(-400, 400).Draw(t, "their drift, parts in a million")
			mine   = func() time.Duration { return time.Minute + world + time.Duration(int64(world)*ours/1e6) }
			its    = func() time.Duration { return start + world + time.Duration(int64(world)*theirs/1e6) }
			pass   = func(what string, most time.Duration) {
				world += time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, what))
			}
			p = newPulse(mine(), patience)
		)
		pass("first", time.Second)
		for range rapid.IntRange(1, 20).Draw(t, "pings") {
			pass("pause", 10*time.Second)
			echo, asked := mine(), world
			pass("way there", 500*ms)
			clock := its()
			pass("way back", 500*ms)
			p.answered(mine(), echo, clock)
			took := world - asked
			at, known := p.theirs(mine())
			if !known {
				continue // it took too long
			}
			if at > its()+2 { // nanoseconds are rounded here and there
				t.Fatalf("reckoned %v, and it is %v", at, its())
			}
			if its()-at > took+ms && took < patience {
				t.Fatalf("reckoned %v, and it is %v, though the answer took %v only", at, its(), took)
			}
			pass("later", time.Minute)
			if at, _ := p.theirs(mine()); at > its()+2 {
				t.Fatalf("later: reckoned %v, and it is %v", at, its())
			}
		}
	})
}
