package sampler

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// Current is the load now. It is the caller's own. It is empty once the system has been closed.
func Current(sys *penstock.System) Load {
	r, err := roomOf(sys)
	if err != nil {
		return Load{}
	}
	return r.board.load()
}

// Watch calls fn with the load now, before it returns, and then at every change of any level or node, in order and one call at
// a time, until stop is called, after which no further call begins, or the system closes. What fn is given is its own. A
// panic in fn is logged, and the next change is told all the same.
//
// fn must be short: Close waits for it. A watcher that has fallen 256 changes behind misses the oldest of them, never the newest.
// The error is [penstock.ErrClosed], or [penstock.ErrInvalid] if fn is nil.
func Watch(sys *penstock.System, fn func(Load)) (stop func(), err error) {
	if fn == nil {
		return nil, fmt.Errorf("%w watcher of the load: the function is nil", penstock.ErrInvalid)
	}
	r, err := roomOf(sys)
	if err != nil {
		return nil, fmt.Errorf("watching the load: %w", err)
	}
	w, err := r.board.watch(fn)
	if err != nil {
		return nil, fmt.Errorf("watching the load: %w", err)
	}
	defer w.goOn()
	w.step()
	return func() { r.board.unwatch(w) }, nil
}

// Subscribe delivers the changes of the levels of this node's samplers, from now on, to a reader with room for buffer of
// them, at least one. The error is [penstock.ErrClosed].
func Subscribe(sys *penstock.System, buffer int) (*supervisor.Subscription[Event], error) {
	r, err := roomOf(sys)
	if err != nil {
		return nil, fmt.Errorf("subscribing to levels: %w", err)
	}
	s, err := r.board.subscribe(buffer)
	if err != nil {
		return nil, fmt.Errorf("subscribing to levels: %w", err)
	}
	return s, nil
}

// SetRemote says what the levels of another node's samplers are: all of them, instead of those known before. They count
// until ttl from now has passed, SetRemote says something else, or [ForgetRemote]. So whoever brings the levels here says
// them again, say, every third of ttl, and a node that has died is forgotten.
//
// A node has a name of 1 to 64 bytes of UTF-8 and up to 1,000 levels of 0 or more. The error is [penstock.ErrInvalid], and
// says everything that is wrong; [penstock.ErrFull] with 10,000 nodes; or [penstock.ErrClosed].
func SetRemote(sys *penstock.System, node string, levels map[string]int, ttl time.Duration) error {
	errs := []error{checkName("the name", node)}
	if ttl <= 0 {
		errs = append(errs, fmt.Errorf("ttl is %v; it takes a positive duration", ttl))
	}
	if len(levels) > maxRemoteLevels {
		errs = append(errs, fmt.Errorf("there are %d levels; it takes up to %d", len(levels), maxRemoteLevels))
	}
	for name, level := range levels {
		errs = append(errs, checkName("a sampler's name", name))
		if level < 0 {
			errs = append(errs, fmt.Errorf("the level of %q is %d; it takes 0 or more", name, level))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w levels of node %q: %w", penstock.ErrInvalid, node, err)
	}
	r, err := roomOf(sys)
	if err == nil {
		err = r.board.setNode(node, levels, ttl)
	}
	if err != nil {
		return fmt.Errorf("levels of node %q: %w", node, err)
	}
	return nil
}

// ForgetRemote forgets another node's levels.
func ForgetRemote(sys *penstock.System, node string) {
	if r, err := roomOf(sys); err == nil {
		r.board.forgetNode(node)
	}
}
