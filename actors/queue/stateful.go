package queue

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/penstock-go/penstock"
)

// Stateful is state that a queue keeps for its jobs: see [NewStateful].
type Stateful interface{ keep() keeper }

// keeper is state of some type.
type keeper interface {
	grant(Request) any
	query(any) (any, error)
}

// NewStateful makes state for Config.Stateful. grant is called for each job that is let go, one after the other: it
// returns the state from then on, and what [Job.Info] will say; for instance, which of several servers is next. query
// answers [Queue.Query], and may be nil. Both run on the caller's goroutine; a panic is the caller's, and leaves the state
// as it was.
func NewStateful[S any](initial S, grant func(S, Request) (next S, info any), query func(S, any) (next S, reply any, err error)) Stateful {
	return &stateOf[S]{initial: initial, onGrant: grant, onQuery: query}
}

// stateOf is the recipe and, once kept, the state itself.
type stateOf[S any] struct {
	initial S
	onGrant func(S, Request) (S, any)
	onQuery func(S, any) (S, any, error)
	now     S
}

// keep makes the state of one queue, so that a recipe may serve several.
func (s *stateOf[S]) keep() keeper {
	kept := *s
	kept.now = s.initial
	return &kept
}

func (s *stateOf[S]) grant(r Request) (info any) {
	if s.onGrant == nil {
		return nil
	}
	s.now, info = s.onGrant(s.now, r)
	return info
}

func (s *stateOf[S]) query(request any) (reply any, err error) {
	if s.onQuery == nil {
		return nil, fmt.Errorf("%w query: the queue's state answers none", penstock.ErrInvalid)
	}
	next, reply, err := s.onQuery(s.now, request)
	if err == nil {
		s.now = next
	}
	return reply, err
}

// keeping guards a queue's state.
type keeping struct {
	mu     sync.Mutex
	keeper keeper
}

// inform has the queue's state tell a job that was let go something. If it panics the job is given back.
func (q *Queue) inform(r Request, g *grant) (info any, err error) {
	informed := false
	defer func() {
		if reason := recover(); reason != nil {
			err = q.fault(&penstock.PanicError{Value: reason, Stack: debug.Stack()})
		}
		if !informed {
			q.entry.Value.undo(g)
		}
	}()
	q.stateful.mu.Lock()
	defer q.stateful.mu.Unlock()
	info = q.stateful.keeper.grant(r)
	informed = true
	return info, nil
}

// Query sends the queue's state a request and returns its reply: jobs' ask_queue. It waits for nobody but the callers who
// are being told of their jobs.
func (q *Queue) Query(ctx context.Context, request any) (reply any, err error) {
	if err := ctx.Err(); err != nil {
		return nil, q.fault(err)
	}
	if q.stateful == nil {
		return nil, q.fault(fmt.Errorf("%w query: the queue keeps no state", penstock.ErrInvalid))
	}
	if err := q.closed(); err != nil {
		return nil, q.fault(err)
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = q.fault(&penstock.PanicError{Value: reason, Stack: debug.Stack()})
		}
	}()
	q.stateful.mu.Lock()
	defer q.stateful.mu.Unlock()
	if reply, err = q.stateful.keeper.query(request); err != nil {
		return reply, q.fault(err)
	}
	return reply, nil
}

// closed is why the queue takes nothing in any more; nil while it does.
func (q *Queue) closed() error { return q.entry.Value.why(nil) }
