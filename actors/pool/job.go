package pool

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
)

// phase is where a job is on its way. The group's lock guards it.
type phase uint8

const (
	arriving phase = iota
	waiting        // in line
	running        // let in; its function has not returned
	gone
)

// outcome is what became of a job.
type outcome uint8

const (
	pending outcome = iota
	succeeded
	failed   // the function returned an error
	panicked // or it ended its goroutine
	timedOut
	killed
	abandoned // its caller's context ended
	rejected  // while it waited
	outcomes
)

var outcomeNames = [outcomes]string{"pending", "succeeded", "failed", "panicked", "timed_out", "killed", "gave_up", "rejected"}

// job is a task on its way through a pool.
type job struct {
	Job
	gate   *gate // of the pool that was asked; one of its own under Guard
	claim  claim
	self   runner
	ctx    jobContext    // of the function
	done   chan struct{} // gets the one word that err is there, or is closed: see tell
	shared bool          // many may wait for done
	err    error         // valid once done has said so
	asked  time.Time
	unbind func() bool // ends the watch over an asynchronous caller's context; nil if there is none

	// The group's lock guards what follows.
	phase      phase
	how        outcome // pending until it is decided what the caller is told
	waited     bool    // it counts as one that had to wait
	stuck      bool    // it counts as stuck in the pools that it holds
	began      time.Time
	deadline   time.Time   // when its MaxTime is over
	worker     *worker     // that it holds; nil until it runs, and under Guard
	late       *time.Timer // rings after MaxWait, or after the grace of a function whose context has ended
	next, prev *job        // in the pool's list
}

// runner is a job that knows the type of its result.
type runner interface {
	// exec runs the function and keeps what it returns.
	exec(ctx context.Context) error
	// forget drops what the function returned, for its caller has been told otherwise.
	forget()
	// function is what is to run.
	function() any
}

// begin has the function of a job that was let in run, on a goroutine of its own.
func (j *job) begin() {
	if waited := j.began.Sub(j.asked); waited > 0 {
		j.pool.metrics.waited(waited)
	}
	go j.main()
}

// main is the job's goroutine.
func (j *job) main() {
	returned := false
	how, err := panicked, ErrGoexit
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		} else if returned {
			how = succeeded
			if err != nil {
				how = failed
			}
		}
		j.finish(how, err)
	}()
	j.worker.mark(&j.ctx)
	err = j.self.exec(&j.ctx)
	returned = true
}

// finish gives back what the job held and tells its caller how it ended, if that has not been told something else.
func (j *job) finish(how outcome, err error) {
	if how == failed && j.ctx.caller.Err() != nil && errors.Is(err, j.ctx.caller.Err()) {
		how = abandoned // the function heard of it before whoever watches the caller's context did
	}
	if no, ok := err.(*refusal); ok {
		if j.gate.elsewhere(j, no.why) {
			return
		}
		err = no.why // it has ended otherwise
	}
	if j.far != nil && how == failed {
		how = fate(err)
	}
	grp := j.gate.lock()
	first, stuck := j.settle(how, err), j.stuck
	took := j.gate.now().Sub(j.began)
	how = j.how
	j.gate.leave(grp, j)
	grp.unlock()
	if first {
		j.tell()
	} else {
		j.self.forget()
	}
	j.gate.report(j, how, took, stuck)
}

// settle decides what the caller is told, unless that is decided. The group is locked.
func (j *job) settle(how outcome, err error) (first bool) {
	if j.how != pending {
		return false
	}
	j.how, j.err = how, err
	j.gate.counts.ended[how]++
	return true
}

// tell ends the function's context and answers the caller, or all who wait, after settle.
func (j *job) tell() {
	j.ctx.end(j.err)
	if j.shared {
		close(j.done)
	} else {
		j.done <- struct{}{}
	}
	if j.unbind != nil {
		j.unbind()
	}
}

// cut ends the job before its function returns, or before it begins. Its caller is answered at once; the function keeps
// what it holds until it returns. It reports whether the job had not ended by then.
func (j *job) cut(how outcome, err error) bool {
	grp := j.gate.lock()
	first := j.settle(how, err)
	if first {
		j.abort(grp)
	}
	grp.unlock()
	if first {
		j.tell()
	}
	return first
}

// abort takes a job that has been settled out of the line, or begins to watch its function. The group is locked.
func (j *job) abort(grp *group) {
	switch j.phase {
	case waiting:
		j.gate.leave(grp, j)
	case running:
		j.late = time.AfterFunc(j.gate.cfg.Grace, j.stick)
	}
}

// expire rejects a job that has waited for as long as it may.
func (j *job) expire() {
	grp := j.gate.lock()
	defer grp.unlock()
	if j.phase == waiting && j.how == pending {
		j.gate.turnAway(grp, j, &j.gate.state, WaitedTooLong, nil)
	}
}

// stick counts the job's function as stuck: its context ended a while ago, and it has not returned.
func (j *job) stick() {
	grp := j.gate.lock()
	still := j.phase == running && !j.stuck
	if still {
		j.stuck = true
		for _, s := range j.claim.holds() {
			s.stuck++
		}
		grp.hush()
	}
	grp.unlock()
	if still {
		j.gate.reportStuck(j)
	}
}

// stopLate stops the timer of a wait or a grace that is over. The group is locked.
func (j *job) stopLate() {
	if j.late != nil {
		j.late.Stop()
		j.late = nil
	}
}

func (j *job) rejection(at *state, why Reason, waited time.Duration) *RejectError {
	e := &RejectError{Pool: j.PoolName(), Task: j.task.Name, Reason: why, Need: j.task.MaxMemory, Waited: waited}
	if at != nil {
		e.Pool, e.Free = at.gate.pool.name, at.maxMemory-at.memory
		if p := at.gate.pool; p.member != "" {
			e.Node, e.Pool = p.member, p.there
		}
	}
	return e
}
