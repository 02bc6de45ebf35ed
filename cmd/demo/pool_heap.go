package main

import (
	"runtime/metrics"
	"time"
)

// heapWatch finds the most memory that the objects of this process take, those included that are not collected yet.
type heapWatch struct {
	end  chan struct{}
	peak chan int64
}

// heapEvery is how often it looks.
const heapEvery = 10 * time.Millisecond

func watchHeap() heapWatch {
	w := heapWatch{end: make(chan struct{}), peak: make(chan int64)}
	go func() {
		ticker := time.NewTicker(heapEvery)
		defer ticker.Stop()
		peak := heapNow()
		for {
			select {
			case <-ticker.C:
				peak = max(peak, heapNow())
			case <-w.end:
				w.peak <- max(peak, heapNow())
				return
			}
		}
	}()
	return w
}

// stop ends the watch and returns the peak, in bytes.
func (w heapWatch) stop() int64 {
	close(w.end)
	return <-w.peak
}

func heapNow() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
