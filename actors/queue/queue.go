package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
)

// Queue is a handle to a queue of a system: see [Add]. It is safe for concurrent use.
type Queue struct {
	room     *room
	entry    *entry
	name     string
	logger   *slog.Logger
	metrics  *metrics
	producer *producing // nil unless the queue produces
	stateful *keeping   // nil unless the queue keeps state
	unlink   func() bool
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Run waits until it is the request's turn, runs fn on the caller's goroutine and gives the job back, whatever becomes of
// it. It returns what fn returned; a panic of fn as a [penstock.PanicError]; or the errors of [Queue.Ask].
func (q *Queue) Run(ctx context.Context, r Request, fn func(context.Context) error) error {
	if fn == nil {
		return q.fault(fmt.Errorf("%w request: the function is nil", penstock.ErrInvalid))
	}
	var g grant
	if _, err := q.acquire(ctx, &r, &g); err != nil {
		return err
	}
	return q.run(ctx, &g, fn)
}

// run calls fn, gives the job back and turns a panic into an error.
func (q *Queue) run(ctx context.Context, g *grant, fn func(context.Context) error) (err error) {
	returned := false
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		} else if !returned {
			err = errGoexit
		}
		q.entry.Value.release(g, err != nil && errors.Is(err, context.DeadlineExceeded))
	}()
	err = fn(ctx)
	returned = true
	return err
}

var errGoexit = errors.New("the function ended its goroutine with runtime.Goexit")

// RunJob is [Queue.Run] for a function that is told of its job.
func (q *Queue) RunJob(ctx context.Context, r Request, fn func(context.Context, *Job) error) error {
	if fn == nil {
		return q.fault(fmt.Errorf("%w request: the function is nil", penstock.ErrInvalid))
	}
	var g grant
	info, err := q.acquire(ctx, &r, &g)
	if err != nil {
		return err
	}
	j := &Job{queue: q, grant: g, info: info}
	j.done.Store(true) // run gives it back
	return q.run(ctx, &g, func(ctx context.Context) error { return fn(ctx, j) })
}

// Do is [Queue.Run] for a function that returns a value.
func Do[T any](ctx context.Context, q *Queue, r Request, fn func(context.Context) (T, error)) (value T, err error) {
	if fn == nil {
		return value, q.fault(fmt.Errorf("%w request: the function is nil", penstock.ErrInvalid))
	}
	err = q.Run(ctx, r, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	})
	return value, err
}

// Ask waits until it is the request's turn. The job must be given back with [Job.Done]. The more urgent go first, inside a
// niceness flows share by weight, and inside a flow the queue's [Order] decides. When ctx ends first, its error is
// returned and nothing has been taken.
//
// A request that is refused gets a [RefusedError]: at once if the queue is full or rejects everything, later if it waited
// for MaxTime, the queue is overloaded, or its ctx ends too soon for the job to be done. Other errors:
// [penstock.ErrInvalid] for a bad request or one that could never be granted, [penstock.ErrClosed].
func (q *Queue) Ask(ctx context.Context, r Request) (*Job, error) {
	var g grant
	info, err := q.acquire(ctx, &r, &g)
	if err != nil {
		return nil, err
	}
	return newJob(q, g, info), nil
}

// acquire waits until the request is let go, with g.
func (q *Queue) acquire(ctx context.Context, r *Request, g *grant) (info any, err error) {
	if q.producer != nil {
		return nil, q.fault(fmt.Errorf("%w request: the queue has a producer, and takes none", penstock.ErrInvalid))
	}
	if err = q.enter(ctx, r, g); err == nil && q.stateful != nil {
		info, err = q.inform(*r, g)
	}
	return info, err
}

func (q *Queue) enter(ctx context.Context, r *Request, g *grant) error {
	if err := ctx.Err(); err != nil {
		return q.fault(err)
	}
	if !r.plain() {
		if err := r.validate(); err != nil {
			return q.fault(err)
		}
	}
	r.Cost = max(r.Cost, 1)
	if q.entry.Value.pass(r.Cost, g) {
		return nil
	}
	deadline, _ := ctx.Deadline()
	w, err := q.entry.Value.ask(r, deadline, g)
	switch {
	case err != nil:
		q.turnedAway(ctx, 0, err)
		return q.named(err)
	case w == nil:
		return nil
	}
	return q.wait(ctx, w, g)
}

// plain reports whether a request is valid at first sight, as most are.
func (r *Request) plain() bool {
	return uint(r.Cost) <= 1 && uint(r.Nice-MinNice) <= MaxNice-MinNice && r.Flow == ""
}

// wait waits for the waiter's turn or for the end of ctx.
func (q *Queue) wait(ctx context.Context, w *waiter, g *grant) error {
	since := w.item.At
	q.event(ctx, "request waits", 0, nil)
	var err error
	select {
	case err = <-w.reply:
	case <-ctx.Done():
		if w.decide(abandoned) {
			q.entry.Value.leave(w) // and is not used again: somebody may be about to refuse it
			return q.gaveUp(ctx, since)
		}
		err = <-w.reply // the answer was quicker
	}
	*g, w.grant = w.grant, grant{}
	q.room.waiters.Put(w)
	waited := q.room.clock.Now().Sub(since)
	if err != nil {
		q.turnedAway(ctx, waited, err)
		return q.named(err)
	}
	if ctx.Err() != nil { // it was let go when its caller had given up: that costs nothing
		q.entry.Value.undo(g)
		return q.gaveUp(ctx, since)
	}
	q.metrics.waited(ctx, granted, waited)
	return nil
}

// send routes a message to the queue's actor.
func (q *Queue) send(message any) { q.room.queues.Send(q.entry, message) }

// fault says at which queue an error happened.
func (q *Queue) fault(err error) error { return fmt.Errorf("queue %q: %w", q.name, err) }

// named is fault for an error that may say so by itself.
func (q *Queue) named(err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return err
	}
	return q.fault(err)
}

// gaveUp counts a caller whose ctx ended while it waited, and returns its error.
func (q *Queue) gaveUp(ctx context.Context, since time.Time) error {
	waited, err := q.room.clock.Now().Sub(since), ctx.Err()
	q.metrics.gaveUp(ctx, waited)
	q.event(ctx, "request gave up waiting", waited, err)
	return fmt.Errorf("queue %q: gave up after waiting %v: %w", q.name, waited.Round(time.Microsecond), err)
}

// turnedAway counts a caller that was refused.
func (q *Queue) turnedAway(ctx context.Context, waited time.Duration, err error) {
	var refused *RefusedError
	if waited > 0 && errors.As(err, &refused) {
		q.metrics.waited(ctx, refused.Reason, waited)
	}
	q.event(ctx, "request refused", waited, err)
}

// event logs, for who debugs, what the metrics count.
func (q *Queue) event(ctx context.Context, what string, took time.Duration, err error) {
	if q.logger.Enabled(ctx, slog.LevelDebug) {
		q.logger.LogAttrs(ctx, slog.LevelDebug, what, slog.Duration("took", took), slog.Any("err", err))
	}
}
