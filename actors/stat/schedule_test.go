package stat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type (
	sumTally    = tally[string, string, sum]
	sumSchedule = schedule[string, string, sum]
)

// TestTheScheduleAgreesWithANaiveOne draws what is added and taken out, and jumps of time from nothing to many turns of the wheel.
func TestTheScheduleAgreesWithANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.SampledFrom([]int64{1, 1e6, 3e7, 5e9, 6e10, 1e13}).Draw(t, "span"))
		s := newSchedule[string, string, sum](span)
		now := time.Duration(0)
		in := make(map[*sumTally]bool)
		var all, out []*sumTally
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				x := &sumTally{}
				if len(out) > 0 && rapid.Bool().Draw(t, "again") {
					x = out[len(out)-1]
					out = out[:len(out)-1]
				} else {
					all = append(all, x)
				}
				x.due = now + drawSpan(t, span, "due")
				s.add(x)
				require.Equal(t, scheduled, x.where)
				in[x] = true
			case 3:
				if len(all) == 0 {
					continue
				}
				x := rapid.SampledFrom(all).Draw(t, "removed")
				if !in[x] {
					continue
				}
				s.remove(x)
				require.Equal(t, nowhere, x.where)
				require.Nil(t, x.next)
				require.Nil(t, x.prev)
				delete(in, x)
				out = append(out, x)
			default:
				now += drawSpan(t, span, "time")
				s.advance(now, func(x *sumTally) {
					require.True(t, in[x], "what comes out is in, once")
					require.LessOrEqual(t, x.due, now, "too early")
					require.Equal(t, nowhere, x.where)
					delete(in, x)
					if rapid.IntRange(0, 3).Draw(t, "back") == 0 { // at once, and due again
						x.due = now + drawSpan(t, span, "due")
						s.add(x)
						in[x] = true
						return
					}
					out = append(out, x)
				})
				for x := range in {
					require.Greater(t, x.due, now-s.tick, "more than a tick too late")
				}
			}
			require.Equal(t, len(in), s.n)
		}
		for x := range in { // nothing is lost
			now = max(now, x.due)
		}
		s.advance(now+s.tick, func(x *sumTally) { delete(in, x) })
		require.Empty(t, in)
		require.Zero(t, s.n)
		for _, spoke := range s.spokes {
			require.Nil(t, spoke)
		}
	})
}

// drawSpan is short, about as long as most are, or a multiple of that.
func drawSpan(t *rapid.T, span time.Duration, name string) time.Duration {
	d := time.Duration(rapid.Int64Range(0, int64(span)).Draw(t, name))
	return d * time.Duration(rapid.SampledFrom([]int{0, 1, 1, 1, 3, 100}).Draw(t, "times"))
}

func TestTheSchedulesTicks(t *testing.T) {
	for span, want := range map[time.Duration]time.Duration{
		0:                         time.Millisecond,
		100 * time.Millisecond:    time.Millisecond,
		2560 * time.Millisecond:   10 * time.Millisecond,
		time.Hour:                 time.Second,
		2 * 366 * 24 * time.Hour:  time.Second,
		256*time.Second + 255*999: time.Second,
	} {
		s := newSchedule[string, string, sum](span)
		require.Equal(t, want, s.tick, "%v", span)
		require.LessOrEqual(t, len(s.spokes), maxSpokes)
		require.GreaterOrEqual(t, len(s.spokes), 2)
		require.Equal(t, want, s.next(0))
		require.Equal(t, want, s.next(7*want))
		require.Equal(t, time.Duration(1), s.next(7*want-1))
		require.Equal(t, want-1, s.next(7*want+1))
	}
}

// TestTheScheduleIsQuickAfterALongPause would take hours if every tick of it were looked at.
func TestTheScheduleIsQuickAfterALongPause(t *testing.T) {
	s := newSchedule[string, string, sum](time.Millisecond)
	x := &sumTally{due: time.Hour}
	s.add(x)
	came := 0
	s.advance(200*365*24*time.Hour, func(*sumTally) { came++ })
	require.Equal(t, 1, came)
	s.advance(201*365*24*time.Hour, func(*sumTally) { came++ })
	y := &sumTally{due: 201*365*24*time.Hour + time.Millisecond}
	s.add(y)
	s.advance(y.due-1, func(*sumTally) { came++ })
	require.Equal(t, 1, came)
	s.advance(y.due, func(*sumTally) { came++ })
	require.Equal(t, 2, came)
}

// TestTheQueueIsFirstInFirstOut takes out while it puts in.
func TestTheQueueIsFirstInFirstOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue[string, string, sum]
		var want []*sumTally
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			if len(want) > 0 && rapid.Bool().Draw(t, "pop") {
				require.Same(t, want[0], q.pop())
				require.Nil(t, want[0].next)
				want = want[1:]
			} else {
				x := &sumTally{}
				q.push(x)
				want = append(want, x)
			}
			require.Equal(t, len(want) == 0, q.first == nil)
		}
	})
}
