package sampler

import (
	"context"
	"errors"
	"math"
	"runtime/metrics"
)

// heap is how GOMEMLIMIT is used.
type heap struct{ samples []metrics.Sample }

var errNoGoLimit = errors.New("there is no GOMEMLIMIT to compare the heap with; set it, or debug.SetMemoryLimit")

// Heap gives a source for the share of GOMEMLIMIT that is in use, counted as the limit counts: all memory that the Go runtime
// has, less what it gave back; from 0 to 1, and above when the limit cannot be kept. While there is no limit, its samples are
// missed, and Info says so. With GOGC=off the heap grows up to the limit before each collection, so then it is no measure of
// load; GC is.
//
// Its thresholds are 0.8, 0.9 and 0.95.
func Heap() Source {
	return &heap{named("/memory/classes/total:bytes", "/memory/classes/heap/released:bytes", "/gc/gomemlimit:bytes")}
}

// Sample implements [Source].
func (h *heap) Sample(context.Context) (float64, error) {
	metrics.Read(h.samples)
	limit := h.samples[2].Value.Uint64()
	if limit >= math.MaxInt64 {
		return 0, errNoGoLimit
	}
	used := h.samples[0].Value.Uint64() - h.samples[1].Value.Uint64()
	return float64(used) / float64(max(1, limit)), nil
}

// Thresholds are the default of [Config.Thresholds].
func (h *heap) Thresholds() []float64 { return []float64{0.8, 0.9, 0.95} }

// named are samples of the Go runtime's metrics, to be read together.
func named(names ...string) []metrics.Sample {
	list := make([]metrics.Sample, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	return list
}
