package sampler

import (
	"context"
	"runtime/metrics"
)

// gc is the CPU time that the garbage collector takes.
type gc struct {
	samples []metrics.Sample
	gc, all float64 // CPU seconds as of the last sample
}

// GC gives a source for the share of the CPU time that GOMAXPROCS stands for which the garbage collector took, from 0 to 1,
// in the collections that ended since the last sample, or since GC was called, and the time before each; 0 if none ended.
// It rises when memory runs short: a heap near GOMEMLIMIT is collected all the time.
//
// Its thresholds are 0.15, 0.25 and 0.4; the runtime keeps it below about 0.5.
func GC() Source {
	g := &gc{samples: named("/cpu/classes/gc/total:cpu-seconds", "/cpu/classes/total:cpu-seconds")}
	g.read()
	return g
}

// read gives the CPU seconds since the last reading: the collector's, and all. They are counted at the end of each collection.
func (g *gc) read() (collecting, all float64) {
	metrics.Read(g.samples)
	before := *g
	g.gc, g.all = g.samples[0].Value.Float64(), g.samples[1].Value.Float64()
	return g.gc - before.gc, g.all - before.all
}

// Sample implements [Source].
func (g *gc) Sample(context.Context) (float64, error) {
	collecting, all := g.read()
	if all <= 0 {
		return 0, nil
	}
	return max(0, collecting) / all, nil // both are estimates
}

// Thresholds are the default of [Config.Thresholds].
func (g *gc) Thresholds() []float64 { return []float64{0.15, 0.25, 0.4} }
