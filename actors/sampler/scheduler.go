package sampler

import (
	"context"
	"math"
	"runtime/metrics"
	"slices"
)

// scheduler is how long goroutines that could run have waited for a processor.
type scheduler struct {
	samples []metrics.Sample
	last    []uint64 // the histogram's counts as of the last sample
}

// Scheduler gives a source for the time, in seconds, that goroutines which could run had to wait for a processor: no more than that
// in 99 of 100 cases since the last sample, or since Scheduler was called; 0 if no goroutine had to be run. It rises when
// GOMAXPROCS, or what the machine gives to it, is too little for what is to be done, whatever the load looks like from outside.
//
// Its thresholds are 0.002, 0.01 and 0.05.
func Scheduler() Source {
	s := &scheduler{samples: named("/sched/latencies:seconds")}
	s.last = slices.Clone(s.read().Counts)
	return s
}

func (s *scheduler) read() *metrics.Float64Histogram {
	metrics.Read(s.samples)
	return s.samples[0].Value.Float64Histogram()
}

// Sample implements [Source].
func (s *scheduler) Sample(context.Context) (float64, error) {
	h := s.read()
	since := slices.Clone(h.Counts)
	for i, n := range s.last {
		since[i] -= n
	}
	s.last = append(s.last[:0], h.Counts...)
	return quantile(since, h.Buckets, 0.99), nil
}

// Thresholds are the default of [Config.Thresholds].
func (s *scheduler) Thresholds() []float64 { return []float64{0.002, 0.01, 0.05} }

// quantile is the upper end of the bucket that holds the share q of all, counted from below, or its lower end if it has no
// upper one; 0 if there are none at all. Bucket i is from bounds[i] to bounds[i+1].
func quantile(counts []uint64, bounds []float64, q float64) float64 {
	all := uint64(0)
	for _, n := range counts {
		all += n
	}
	rest := uint64(math.Ceil(float64(all) * q))
	for i, n := range counts {
		if rest > n {
			rest -= n
			continue
		}
		switch {
		case rest == 0:
			return 0
		case math.IsInf(bounds[i+1], 1):
			return bounds[i]
		}
		return bounds[i+1]
	}
	return 0
}
