package pool

import (
	"context"
	"fmt"
)

// Async asks the pool to run fn and does not wait for it: Handler's async. It returns at once, with a [RejectError] if there
// is no room for the task and it may not wait for it. The job ends with ctx, as in [Run], which tells the other errors.
func Async[T any](ctx context.Context, p *Pool, t Task, fn func(context.Context) (T, error)) (*Future[T], error) {
	c := &call[T]{fn: fn}
	c.done, c.shared = make(chan struct{}), true
	if err := c.ask(ctx, p, t, fn == nil, c); err != nil {
		return nil, err
	}
	c.watch(ctx)
	return &Future[T]{call: c}, nil
}

// watch ends the job when ctx does, for a caller that does not wait.
func (j *job) watch(ctx context.Context) {
	if ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { j.abandon(ctx) })
	grp := j.gate.lock()
	over := j.how != pending
	if !over {
		j.unbind = stop
	}
	grp.unlock()
	if over {
		stop()
	}
}

// Future is the result of a job that is to come. It is safe for concurrent use.
type Future[T any] struct{ call *call[T] }

// Await waits for the job's end and returns what its function did, or the errors of [Run]. It may be called by many, and
// again. If ctx ends first its error is returned; the job goes on, and Await may be called again.
func (f *Future[T]) Await(ctx context.Context) (T, error) {
	var none T
	c := f.call
	select {
	case <-c.done:
	default:
		select {
		case <-c.done:
		case <-ctx.Done():
			return none, fmt.Errorf("%s: awaiting it: %w", taskOf(c.PoolName(), c.task.Name), ctx.Err())
		}
	}
	if c.err != nil {
		return none, c.err
	}
	return c.value, nil
}

// Done is closed at the job's end: from then on Await does not wait.
func (f *Future[T]) Done() <-chan struct{} { return f.call.done }

// Ref is the job's number, which no other job of the process has: Handler's ref. [Pool.KillRef] takes it.
func (f *Future[T]) Ref() uint64 { return f.call.ref }

// Kill ends the job, whose Await returns a [KilledError] with the cause, or with [ErrKilled] if that is nil. It reports
// whether the job had not ended by then.
func (f *Future[T]) Kill(cause error) bool { return f.call.cut(killed, f.call.kill(cause)) }

// kill is the error of a job that is killed.
func (j *job) kill(cause error) error {
	if cause == nil {
		cause = ErrKilled
	}
	return &KilledError{Pool: j.PoolName(), Task: j.task.Name, Cause: cause}
}
