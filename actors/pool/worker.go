package pool

import (
	"context"
	"runtime/pprof"
	"strconv"
)

// worker is one of a pool's places to run a job. Its number labels the goroutine that the job runs on, and those that it
// starts, so that profiles tell them apart.
type worker struct {
	number uint64 // which no other worker of the process has
	labels context.Context
}

// workers are those of a pool that nobody holds. The zero workers are none, and make what is wanted.
type workers struct{ idle []*worker }

func (w *workers) take(pool string) *worker {
	if n := len(w.idle); n > 0 {
		last := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return last
	}
	number := numbers.Add(1)
	labels := pprof.Labels(poolLabel, pool, workerLabel, strconv.FormatUint(number, 10))
	return &worker{number: number, labels: pprof.WithLabels(context.Background(), labels)}
}

func (w *workers) give(back *worker) { w.idle = append(w.idle, back) }

const (
	poolLabel   = "penstock.pool"
	workerLabel = "penstock.worker"
)

// mark labels the goroutine, which is about to run a job whose function gets ctx. Labels that the caller's context has
// stay; without any, which is most of the time, those made for the worker will do.
func (w *worker) mark(ctx *jobContext) {
	if w == nil {
		return
	}
	var own []string
	pprof.ForLabels(ctx.caller, func(key, value string) bool {
		own = append(own, key, value)
		return true
	})
	if own == nil {
		pprof.SetGoroutineLabels(w.labels)
		return
	}
	pool, _ := pprof.Label(w.labels, poolLabel)
	number, _ := pprof.Label(w.labels, workerLabel)
	ctx.caller = pprof.WithLabels(ctx.caller, pprof.Labels(poolLabel, pool, workerLabel, number))
	pprof.SetGoroutineLabels(ctx.caller)
}
