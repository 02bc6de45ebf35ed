package main

import "time"

// largestWindow is the oracle: the most events in any window of length per, wherever it starts. A window is half open,
// so that two events exactly per apart are never in one. times must be in order.
func largestWindow(times []time.Time, per time.Duration) (most int) {
	first := 0
	for last, t := range times {
		for t.Sub(times[first]) >= per {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
