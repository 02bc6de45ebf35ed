package limit

import "time"

const (
	// batchSize is the fewest jobs that a decision is made on: the mean of 100
	// jobs whose times are spread as exponential ones are is right within 10 %,
	// mostly.
	batchSize = 100
	// outlier is how many times the unloaded time a job counts as at most, so
	// that one in a hundred that hangs does not look like load.
	outlier = 10
	// mostGrowth and mostShrink are how far a single decision may want to go.
	mostGrowth, mostShrink = 1.25, 0.5

	// lossy is what part of a window's jobs may fail for the limit to grow. Some
	// always do.
	lossy = 0.05

	probeEvery = 20 // windows from one probe to the next
	restProbe  = 3  // and at least
	// fallen is how far the limit may shrink, and still want to shrink further,
	// before the unloaded time is taken to be out of date: shrinking did not help.
	fallen = 0.7
	// faster is below what part of the unloaded time a window's jobs, or a
	// probe's, are news, and chance above what part they may be no change at all.
	faster, chance = 0.85, 0.75
)

// batch is the jobs of one window.
type batch struct {
	skip   int // jobs to leave out, which were running when the limit was changed
	began  time.Time
	n      int
	sum    float64 // of nanoseconds: no sum of times overflows
	failed int
	peak   int // most in flight
}

// add counts a job, and reports whether there are enough for a decision.
func (b *batch) add(now time.Time, took time.Duration, inFlight int, failed bool) bool {
	if b.skip > 0 {
		b.skip--
		return false
	}
	if b.n+b.failed == 0 {
		b.began = now
	}
	b.peak = max(b.peak, inFlight)
	if failed {
		b.failed++
	} else {
		b.n++
		b.sum += float64(took)
	}
	return b.n+b.failed >= max(batchSize, b.peak)
}

// settling is how many jobs to leave out after a decision, when as many as peak
// ran: their times are still those of the limit before. Those still running
// late in a probe are the longest of all, so it waits twice as long again.
func (a *Adaptive) settling(peak int) int {
	limit := a.Limit()
	skip := max(peak, limit)
	if a.probe.limit > 0 {
		skip += 2 * limit
	}
	return skip
}

// mean is how long jobs took; 0 if all failed.
func (b *batch) mean() time.Duration {
	if b.n == 0 {
		return 0
	}
	return time.Duration(b.sum / float64(b.n))
}

// loss is what part of the jobs failed.
func (b *batch) loss() float64 { return float64(b.failed) / float64(b.n+b.failed) }

// probe is a look at how long jobs take when few run.
type probe struct {
	limit float64       // in force while it lasts; else 0
	rest  int           // windows until the next one
	took  time.Duration // mean of the window before it
	high  float64       // highest limit since the last one
}

// decide takes a window's jobs into account.
func (a *Adaptive) decide(b *batch) {
	mean := b.mean()
	if a.probe.limit > 0 {
		a.measure(mean)
		return
	}
	if a.floor == 0 && mean > 0 { // the first one tells nothing yet: how many are few?
		a.floor = mean
		a.probe = probe{limit: a.low(a.limit), took: mean}
		return
	}
	if mean > 0 && b.peak <= int(a.low(a.limit)) { // few ran, as in a probe
		a.learn(mean)
		a.probe.rest = probeEvery
	}
	ratio := a.ratio(mean)
	if b.loss() > lossy {
		ratio = min(ratio, 1)
	}
	a.follow(ratio*(1-b.loss()/2), b.peak)

	p := &a.probe
	p.rest--
	p.high = max(p.high, a.limit)
	doubt := mean > 0 && float64(mean) < faster*float64(a.floor) || ratio < 1 && a.limit < fallen*p.high
	if p.rest <= 0 || doubt && p.rest <= probeEvery-restProbe {
		a.probe = probe{limit: a.low(a.limit), took: mean}
	}
}

// ratio is what the limit should be multiplied with, for jobs that took this
// long.
func (a *Adaptive) ratio(mean time.Duration) float64 {
	if mean == 0 {
		return 1
	}
	return min(max(a.cfg.Tolerance*float64(a.floor)/float64(mean), mostShrink), mostGrowth)
}

// follow moves the limit. It does not grow when it is not used: nothing is
// known about a limit that nobody came near to.
func (a *Adaptive) follow(ratio float64, peak int) {
	if ratio > 1 && float64(peak) < 0.9*float64(a.Limit()) {
		return
	}
	step := float64(a.cfg.Smoothing * (ratio - 1) * a.limit) // rounded here, on any machine
	a.limit = a.bounded(a.limit + step)
}

// low is the limit of a probe. Where jobs take Tolerance times as long, they
// run without queueing at limit/Tolerance; so if they do queue there, the limit
// is lower after the probe than before, and a limit that had been too high for
// long comes down probe by probe.
func (a *Adaptive) low(limit float64) float64 {
	return a.bounded(limit * 0.75 / a.cfg.Tolerance)
}

// measure ends a probe in which jobs took mean, or takes it further down: as
// long as they get faster, they have been queueing.
func (a *Adaptive) measure(mean time.Duration) {
	p := &a.probe
	before := a.floor
	if mean > 0 {
		a.learn(mean)
		if lower := a.low(p.limit); float64(mean) < faster*float64(before) && lower < p.limit {
			p.limit = lower
			return
		}
	}
	if p.took > 0 {
		// Where the limit would have come to, had this been known.
		a.limit = a.bounded(a.limit * min(a.cfg.Tolerance*float64(a.floor)/float64(p.took), 1))
	}
	a.probe = probe{rest: probeEvery}
}

// learn takes what was measured with few running as the unloaded time: at once
// when that has changed, by and by when it may be chance.
func (a *Adaptive) learn(mean time.Duration) {
	if a.floor > 0 && float64(mean) > chance*float64(a.floor) && chance*float64(mean) < float64(a.floor) {
		mean = (a.floor + mean) / 2
	}
	a.floor = mean
}
