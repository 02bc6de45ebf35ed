package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longestWait is where a histogram ends; a longer wait counts as this one. A full line of 10,000 at one request an hour
// stays below it.
const longestWait = 500 * 24 * time.Hour

// waits collects waiting times in constant memory, to three digits.
type waits struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram // microseconds
	longest   time.Duration           // exact
}

func newWaits() *waits {
	return &waits{histogram: hdrhistogram.New(1, longestWait.Microseconds(), 3)}
}

func (w *waits) add(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, d)
	_ = w.histogram.RecordValue(min(max(d, 0), longestWait).Microseconds()) // fails only out of range
}

// quantiles sum waits up. The zero value stands for none.
type quantiles struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

func (w *waits) quantiles() quantiles {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := func(percent float64) time.Duration { // a histogram answers with its cell's upper end, which may lie above the longest
		return min(time.Duration(w.histogram.ValueAtPercentile(percent))*time.Microsecond, w.longest)
	}
	return quantiles{Count: int(w.histogram.TotalCount()), P50: at(50), P99: at(99), Max: w.longest}
}
