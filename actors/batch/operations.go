package batch

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// served makes an operation of its arguments, for another node, and what writes its result when it has run.
type served[R any] func(arguments []byte) (fn func(R) error, encode func() ([]byte, error), err error)

// operations are those that have names.
type operations[R any] struct {
	mu     sync.Mutex
	byName map[string]served[R]
	more   chan struct{} // closed when there is another one
}

// introduction is how long after a processor's start other nodes wait for an operation to be registered, and are not told that there is
// none: a node is called as soon as it owns something.
const introduction = 5 * time.Second

// add reports whether there was none of that name.
func (o *operations[R]) add(name string, op served[R]) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName[name] != nil {
		return false
	}
	if o.byName == nil {
		o.byName = make(map[string]served[R])
	}
	o.byName[name] = op
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return true
}

// find returns an operation, or nil and what is closed when there is another one.
func (o *operations[R]) find(name string) (served[R], <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if op := o.byName[name]; op != nil {
		return op, nil
	}
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return nil, o.more
}

// operationOf finds what another node asks for.
func (p *Processor[K, R]) operationOf(ctx context.Context, gone <-chan struct{}, name string) (served[R], error) {
	op, more := p.known.find(name)
	if op != nil {
		return op, nil
	}
	t := time.NewTimer(p.began + introduction - p.clock.Elapsed())
	defer t.Stop()
	for {
		select {
		case <-more:
		case <-t.C:
			return nil, fmt.Errorf("%w: %.512q", ErrUnregistered, name)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrCancelled, ctx.Err())
		case <-gone:
			return nil, fmt.Errorf("%w: %w", ErrCancelled, context.Canceled)
		case <-p.life.Done():
			return nil, fmt.Errorf("%w: %.512q", ErrUnregistered, name)
		}
		if op, more = p.known.find(name); op != nil {
			return op, nil
		}
	}
}
