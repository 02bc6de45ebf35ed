package bucket

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// Do runs fn when it is the request's turn, on the caller's goroutine, and returns what it returned. A panic of fn is
// returned as a [penstock.PanicError]; other errors are fn's own or those of [Bucket.Acquire].
//
// With a Key, requests of one bucket that have the same Key and result type and are under way at the same time share
// one turn and one run, whose result each of them gets: the same value, so it must not be changed. fn then runs on a
// goroutine of its own, in a context with the values of the first caller's. Each caller waits within its own ctx; the
// run is cancelled when the last of them has gone. It is as urgent as the most urgent of them; what it costs and its flow
// are what the first of them said. At most MaxWaiting callers share one run.
//
// In a Clustered family those of one node share a run, and it gets no more urgent by who joins it once another node is asked for its turn.
func Do[T any](ctx context.Context, b *Bucket, r Request, fn func(context.Context) (T, error)) (T, error) {
	var none T
	if fn == nil {
		return none, b.family.fault(b.id, fmt.Errorf("%w request: the function is nil", penstock.ErrInvalid))
	}
	if r.Key != "" {
		return share(ctx, b, r, fn)
	}
	if _, err := b.Acquire(ctx, r); err != nil {
		return none, err
	}
	return run(ctx, b, fn)
}

// run calls fn, measures it and turns its panic into an error.
func run[T any](ctx context.Context, b *Bucket, fn func(context.Context) (T, error)) (value T, err error) {
	f := b.family
	start, returned := f.clock.Now(), false
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		} else if !returned {
			err = errGoexit
		}
		took := f.since(start)
		f.metrics.ran(ctx, took, err)
		f.event(ctx, "function ran", b.id, took, err)
	}()
	value, err = fn(ctx)
	returned = true
	return value, err
}

var errGoexit = errors.New("the function ended its goroutine with runtime.Goexit")

// callKey tells shared calls apart. The result's type is part of it, so that a value is always what its caller expects.
type callKey struct {
	key    string
	result reflect.Type
}

// call is a run that several callers share. The gate's lock guards sharers, nice and waiter.
type call struct {
	key     callKey
	cancel  context.CancelFunc
	sharers int     // callers that still wait for it
	nice    int     // of the most urgent of them
	waiter  *waiter // nil until the call has to wait for its turn
	done    chan struct{}
	value   any   // valid once done is closed
	err     error // likewise
}

func share[T any](ctx context.Context, b *Bucket, r Request, fn func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, b.family.fault(b.id, err)
	}
	c, e, first, err := b.callFor(ctx, &r, callKey{key: r.Key, result: reflect.TypeFor[T]()})
	if err != nil {
		return none, err
	}
	if first != nil {
		go lead(first, b, e, c, r, fn)
	}
	since := b.family.clock.Now()
	select {
	case <-c.done:
	case <-ctx.Done():
		e.Value.quit(c)
		return none, b.family.gaveUp(ctx, b.id, since)
	}
	if c.err != nil {
		return none, c.err
	}
	value, _ := c.value.(T) // it is a T, or the nil of an interface
	return value, nil
}

// callFor joins the call under way for key, or makes it: then first is the context to lead it in.
func (b *Bucket) callFor(ctx context.Context, r *Request, key callKey) (c *call, at *entry, first context.Context, err error) {
	f := b.family
	for {
		rules, e, err := b.live()
		if err != nil {
			return nil, nil, nil, err
		}
		var own limit.Costs
		costs, err := rules.price(r, &own)
		if err == nil {
			err = rules.possible(r.Nice, costs)
		}
		if err != nil && !f.cfg.Shadow {
			return nil, nil, nil, f.fault(b.id, err)
		}
		g := &e.Value
		if _, ok := g.enter(rules); !ok {
			b.lose(e)
			continue
		}
		calls := &g.state.behind().calls
		if c = (*calls)[key]; c != nil {
			if c.sharers >= f.cfg.MaxWaiting {
				g.mu.Unlock()
				return nil, nil, nil, &FullError{Family: f.name, ID: b.id, Waiting: c.sharers}
			}
			c.sharers++
			urge, w := r.Nice < c.nice, c.waiter
			if urge {
				c.nice = r.Nice
			}
			g.mu.Unlock()
			if urge && w != nil {
				f.children.Send(e, promoted{w, r.Nice})
			}
			return c, e, nil, nil
		}
		c = &call{key: key, sharers: 1, nice: r.Nice, done: make(chan struct{})}
		first, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if *calls == nil {
			*calls = make(map[callKey]*call)
		}
		(*calls)[key] = c
		f.crowd.Enter()
		g.mu.Unlock()
		return c, e, first, nil
	}
}

// lead waits for the call's turn and runs it.
func lead[T any](ctx context.Context, b *Bucket, e *entry, c *call, r Request, fn func(context.Context) (T, error)) {
	c.err = errGoexit
	defer func() { // deferred, because fn may end the goroutine
		e.Value.drop(c)
		close(c.done)
		c.cancel()
		b.family.crowd.Leave(1)
	}()
	if _, err := b.acquire(ctx, &r, c); err != nil {
		c.err = err
		return
	}
	c.value, c.err = run(ctx, b, fn)
}

// drop takes the call out, so that the next request with its key begins a new one.
func (g *gate) drop(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unlist(c)
}

// unlist is drop under the gate's lock.
func (g *gate) unlist(c *call) {
	if calls := g.state.behind().calls; calls[c.key] == c {
		delete(calls, c.key)
	}
}

// quit leaves the call, and cancels it if nobody is left. From the moment that is certain nobody can join it.
func (g *gate) quit(c *call) {
	g.mu.Lock()
	c.sharers--
	last := c.sharers == 0
	if last {
		g.unlist(c)
	}
	g.mu.Unlock()
	if last {
		c.cancel()
	}
}

// since is how long ago t was.
func (f *Family) since(t time.Time) time.Duration { return f.clock.Now().Sub(t) }
