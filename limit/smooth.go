package limit

import (
	"math/bits"
	"time"
)

// smooth is the generic cell rate algorithm. Each event moves the theoretical
// arrival time one interval on; how far that is ahead is how much is in use.
type smooth struct {
	tat    int64 // theoretical arrival time: unused from tat + slack on
	latest int64 // last take
	born   int64 // takes before this are not in tat
}

func newSmooth(born int64) *smooth { return &smooth{tat: past, latest: past, born: born} }

func (s *smooth) fits(sp *spec, now instant, cost, ceiling int64) bool {
	return s.due(sp, cost, ceiling) <= max(now.at, s.latest)
}

// due is when cost fits under ceiling. Slack delays every event but one that
// finds the limit unused.
func (s *smooth) due(sp *spec, cost, ceiling int64) int64 {
	return s.tat + sp.slack - (ceiling-cost)*sp.interval
}

func (s *smooth) wait(sp *spec, now instant, cost, ceiling int64) time.Duration {
	if s.fits(sp, now, cost, ceiling) {
		return 0
	}
	return time.Duration(s.due(sp, cost, ceiling) - now.at)
}

func (s *smooth) take(sp *spec, now instant, cost int64) int64 {
	s.latest = max(s.latest, now.at)
	s.tat = owe(max(s.tat, s.latest), scale(cost, sp.interval, 1))
	return s.used(sp, now)
}

// give takes off what the limit has not earned since: without the take, it
// would have been unused for up to that long, and earned nothing meanwhile.
func (s *smooth) give(sp *spec, now, at instant, cost int64) {
	if at.at < s.born {
		return
	}
	earned := max(now.at, s.latest, at.at) - at.at
	s.tat = max(s.tat-max(scale(cost, sp.interval, 1)-earned, 0), past)
}

func (s *smooth) used(sp *spec, now instant) int64 {
	ahead := s.tat + sp.slack - max(now.at, s.latest)
	if ahead <= 0 {
		return 0
	}
	return (ahead + sp.interval - 1) / sp.interval
}

func (s *smooth) fresh(sp *spec, now instant) bool {
	return s.tat+sp.slack <= now.at && s.latest <= now.at
}

// change keeps how many events were in use at the last take, and lets them be
// earned at the new rate from there.
func (s *smooth) change(old, sp *spec, _ instant) {
	if ahead := s.tat - s.latest; ahead > 0 {
		s.tat = owe(s.latest, scale(ahead, sp.interval, old.interval))
	}
}

// owe adds to a theoretical arrival time, up to what later sums can bear.
func owe(tat, ns int64) int64 {
	const most = 1 << 62
	if ns > most-tat {
		return most
	}
	return tat + ns
}

// scale is n × to / from rounded up, for n ≥ 0 and to, from > 0; at most 1<<62.
func scale(n, to, from int64) int64 {
	const most = 1 << 62
	hi, lo := bits.Mul64(uint64(n), uint64(to))
	lo, carry := bits.Add64(lo, uint64(from-1), 0)
	hi += carry
	if hi >= uint64(from) {
		return most
	}
	q, _ := bits.Div64(hi, lo, uint64(from))
	return int64(min(q, most))
}
