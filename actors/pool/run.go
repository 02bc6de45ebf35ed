package pool

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/penstock-go/penstock"
)

// Run runs fn in the pool and waits for it: Handler's run. fn gets a goroutine of its own, and a context that ends with ctx,
// after the task's MaxTime, or when the job is killed; then the caller is answered at once, while fn keeps its worker and
// its memory until it returns.
//
// It returns what fn returned. Other errors: a [RejectError] if there is no room for the task; a [TimeoutError]; a
// [KilledError]; a [MemoryError] or a [CrashError] of a tier that can tell; a [penstock.PanicError] if fn panicked,
// [ErrGoexit] if it ended its goroutine; ctx's error if that ended first; [penstock.ErrInvalid] for a bad task.
func Run[T any](ctx context.Context, p *Pool, t Task, fn func(context.Context) (T, error)) (T, error) {
	c := &call[T]{fn: fn}
	if err := c.ask(ctx, p, t, fn == nil, c); err != nil {
		var none T
		return none, err
	}
	if err := c.wait(ctx); err != nil {
		var none T
		return none, err
	}
	return c.value, nil
}

// Guard runs fn as [Run] does, without a pool: in a goroutine of its own or another tier, with the task's limits, and with
// its panics, timeouts and crashes turned into errors: Handler's run without a pool.
func Guard[T any](ctx context.Context, t Task, fn func(context.Context) (T, error)) (T, error) {
	var none T
	c := &call[T]{fn: fn}
	c.done = make(chan struct{}, 1)
	if err := c.prepare(ctx, nil, t, fn == nil, c); err != nil {
		return none, fmt.Errorf("guard: %w", err)
	}
	alone(&c.job)
	if err := c.wait(ctx); err != nil {
		return none, err
	}
	return c.value, nil
}

// call is a job with the type of its result.
type call[T any] struct {
	job
	fn    func(context.Context) (T, error)
	value T // valid once done is closed and err is nil
}

func (c *call[T]) exec(ctx context.Context) (err error) {
	c.value, err = c.fn(ctx)
	return err
}

func (c *call[T]) function() any { return c.fn }

func (c *call[T]) forget() {
	var none T
	c.value = none
}

// ask asks the pool to run the job. It runs or waits if there is no error.
func (j *job) ask(ctx context.Context, p *Pool, t Task, without bool, self runner) error {
	if err := j.prepare(ctx, p, t, without, self); err != nil {
		return p.fault(err)
	}
	if j.done == nil {
		j.done = p.room.answers.Get().(chan struct{})
	}
	return p.start(ctx, j)
}

// numbers tell apart the jobs and the workers of the process, of all systems: profiles cover all of it.
var numbers atomic.Uint64

// prepare fills in a job that is about to ask for room.
func (j *job) prepare(ctx context.Context, p *Pool, t Task, without bool, self runner) error {
	if err := t.ready(); err != nil {
		return err
	}
	if without {
		return fmt.Errorf("%w task: the function is nil", penstock.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		if p != nil {
			p.gate().desert()
		}
		return err
	}
	j.pool, j.task, j.self, j.ref = p, t, self, numbers.Add(1)
	j.claim = claim{job: j, memory: t.MaxMemory, nice: t.Nice}
	j.ctx.job, j.ctx.caller = j, ctx
	return nil
}

// wait waits until the job's end is known. If ctx, its caller's, ends before, so does the job.
func (j *job) wait(ctx context.Context) error {
	if end := ctx.Done(); end == nil {
		<-j.done
	} else {
		select {
		case <-j.done:
		case <-end:
			j.abandon(ctx)
			<-j.done
		}
	}
	if j.pool != nil {
		j.pool.room.answers.Put(j.done)
	}
	return j.err
}

// abandon ends a job whose caller's context has ended.
func (j *job) abandon(ctx context.Context) {
	err := fmt.Errorf("%s: given up: %w", taskOf(j.PoolName(), j.task.Name), ctx.Err())
	j.cut(abandoned, err)
}
