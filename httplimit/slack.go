package httplimit

import (
	"sync"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// The server counts arrivals, we count departures, and the way between jitters: two requests that left a window
// apart can arrive closer than that. Slack is the distance we keep for it.
const (
	// minSlack covers the jitter of a decent network.
	minSlack = 20 * time.Millisecond
	// slackShare of a window is the slack it starts with: 1 %.
	slackShare = 100
	// maxSlackShare of a window is the slack that refusals can widen it to: 10 %.
	maxSlackShare = 10
	// slackCeiling keeps minSlack from eating up a window of a few milliseconds: slack starts at a quarter of it at most.
	slackCeiling = 4
)

// windows are the shortest and the longest window of limits, which are never empty.
func windows(limits []limit.Limit) (shortest, longest time.Duration) {
	for i, l := range limits {
		if i == 0 || l.Per < shortest {
			shortest = l.Per
		}
		longest = max(longest, l.Per)
	}
	return shortest, longest
}

// defaultSlack is the larger of 20 ms and 1 % of the window, and at most a quarter of it. The slack applies to every
// limit of a family, so it is taken from the shortest window: 1 % of an hour would leave nothing of a limit by the second.
func defaultSlack(limits []limit.Limit) time.Duration {
	shortest, _ := windows(limits)
	return min(max(minSlack, shortest/slackShare), shortest/slackCeiling)
}

// maxSlack is where widening ends by default: at 10 % of the shortest window, or where it started.
func maxSlack(limits []limit.Limit, start time.Duration) time.Duration {
	shortest, _ := windows(limits)
	return max(start, defaultSlack(limits), shortest/maxSlackShare)
}

// otherLimit reports whether a wait is too long for a limit we know: even a full window is over by then. The second
// is for servers that round up. Such a refusal is no sign of jitter.
func otherLimit(wait time.Duration, limits []limit.Limit) bool {
	_, longest := windows(limits)
	return wait > longest+time.Second
}

// widening makes sure that requests under way together, all refused, widen the slack once.
type widening struct {
	mu   sync.Mutex
	last time.Time // when the slack was last found too small
}

// due reports whether the refusal, received now, of a request sent at sent says something new: the request left after
// the last widening.
func (w *widening) due(sent, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last.IsZero() && !sent.After(w.last) {
		return false
	}
	w.last = now
	return true
}
