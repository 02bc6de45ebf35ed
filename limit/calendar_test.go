package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the way takes, up to slack in either direction, no calendar window
// of the upstream holds more than the limit.
func TestG1_CalendarNeverExceedsAnUpstreamWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{Events: rapid.IntRange(1, 12).Draw(t, "events"), Per: time.Millisecond, Algorithm: Calendar}
		slack := drawSlack(t, l.Per)
		p := must(NewPlan([]Limit{l}, slack))
		start := origin
		if rapid.Bool().Draw(t, "before 1970") {
			start = time.Unix(-1, -5).UTC()
		}
		s, now, full := p.NewSet(), start, p.Capacity()
		var grants []grant
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(drawGap(t, l.Per))
			if len(grants) > 0 && rapid.IntRange(0, 5).Draw(t, "op") == 0 {
				g := &grants[rapid.IntRange(0, len(grants)-1).Draw(t, "grant")]
				s.Refund(now, g.at, &Costs{int32(g.cost)})
				g.cost = 0
				continue
			}
			cost := rapid.IntRange(1, l.Events).Draw(t, "cost")
			if _, _, ok := s.Take(now, &Costs{int32(cost)}, &full); ok {
				grants = append(grants, grant{now, cost})
			}
		}
		windows := map[time.Time]int{}
		for _, g := range grants {
			seen := map[time.Time]bool{}
			for _, d := range []time.Duration{-slack, 0, max(slack-1, 0)} {
				seen[g.at.Add(d).Truncate(l.Per)] = true
			}
			for w := range seen {
				if windows[w] += g.cost; windows[w] > l.Events {
					t.Fatalf("%d in the window at %v", windows[w], w)
				}
			}
		}
	})
}
