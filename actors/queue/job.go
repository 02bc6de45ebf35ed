package queue

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
)

// Job is a request's turn, to be given back with Done. It is what jobs calls the opaque.
//
// A Job that nobody holds any more and that was not done is given back when it is garbage-collected, and logged as a
// warning: what it took of counters is not lost, but it comes back late.
type Job struct {
	queue   *Queue
	grant   grant
	info    any
	cleanup runtime.Cleanup
	done    atomic.Bool
}

func newJob(q *Queue, g grant, info any) *Job {
	j := &Job{queue: q, grant: g, info: info}
	if g.rules != nil {
		j.cleanup = runtime.AddCleanup(j, (*lost).giveBack, &lost{q, g})
	}
	return j
}

// Done gives back what the job took of counters. It may be called more than once, and by several at once; the first call
// counts.
func (j *Job) Done() { j.end(false) }

// Failed is Done for a job that was cut short or took too long: an adaptive limit takes it for a sign of overload.
func (j *Job) Failed() { j.end(true) }

func (j *Job) end(failed bool) {
	if !j.done.Swap(true) {
		j.cleanup.Stop()
		j.queue.entry.Value.release(&j.grant, failed)
	}
}

// Info is what the queue's state told the job; nil if the queue keeps none. See [NewStateful].
func (j *Job) Info() any { return j.info }

// Queue is the queue that the job is of.
func (j *Job) Queue() *Queue { return j.queue }

// lost is what is left of a job that was dropped.
type lost struct {
	queue *Queue
	grant grant
}

func (l *lost) giveBack() {
	l.queue.logger.LogAttrs(context.Background(), slog.LevelWarn, "a job was dropped without Done; what it took is given back now")
	l.queue.metrics.dropped()
	l.queue.entry.Value.release(&l.grant, false)
}
