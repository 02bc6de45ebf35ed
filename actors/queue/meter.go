package queue

import "time"

// meter turns a count that grows into a rate. Whoever counts shows it the count now and then.
type meter struct {
	rate float64   // a second, over the last full span
	base uint64    // the count at from
	from time.Time // when the span under way began
}

const meterSpan = time.Second

// look takes note of the count at now.
func (m *meter) look(now time.Time, n uint64) {
	if d := now.Sub(m.from); d >= meterSpan {
		m.rate = float64(n-m.base) / d.Seconds()
		m.base, m.from = n, now
	}
}

// perSecond is the rate at now: over the span under way if it is the first.
func (m *meter) perSecond(now time.Time, n uint64) float64 {
	m.look(now, n)
	if d := now.Sub(m.from); m.rate == 0 && d > 0 {
		return float64(n-m.base) / d.Seconds()
	}
	return m.rate
}

// service is how long jobs take: their smoothed time and how far it varies, as TCP estimates a round trip.
type service struct {
	mean, deviation time.Duration
	at              time.Time // of the last sample
}

func (s *service) sample(now time.Time, took time.Duration) {
	took = max(took, 0)
	if s.at.IsZero() {
		s.mean, s.deviation = took, took/2
	} else {
		off := took - s.mean
		s.mean += off / 8
		s.deviation += (max(off, -off) - s.deviation) / 4
	}
	s.at = now
}

// quick is what a quick job takes. Without new samples it halves each second, so that a queue which refuses everybody
// whom it cannot serve in that time finds out that it can again.
func (s *service) quick(now time.Time) time.Duration {
	d := max(s.mean-s.deviation, 0)
	if halves := now.Sub(s.at) / time.Second; halves > 0 {
		d >>= min(halves, 62)
	}
	return d
}
