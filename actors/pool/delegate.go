package pool

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
)

// maxRoutes is how many ways up delegate functions may open to one task, so that a mistake in one cannot take all memory.
const maxRoutes = 1024

// routesFor finds the ways up from the pool for a task.
func (p *Pool) routesFor(ctx context.Context, t *Task) ([]route, error) {
	if p.routes != nil {
		return p.routes, nil
	}
	if p.gate().isShut() {
		p.gate().reject(Closed)
		return nil, &RejectError{Pool: p.name, Task: t.Name, Reason: Closed, Need: t.MaxMemory}
	}
	found, why := p.consult(ctx, t.Param)
	if found.err != nil {
		return nil, p.fault(found.err)
	}
	routes := slices.DeleteFunc(found.routes, func(r route) bool {
		return slices.ContainsFunc(r, func(s *state) bool { return s != r[0] && s.gate.isShut() })
	})
	if why == accepted && len(routes) == 0 {
		why = NoPools
	}
	if why != accepted {
		p.gate().reject(why)
		return nil, &RejectError{Pool: p.name, Task: t.Name, Reason: why, Need: t.MaxMemory}
	}
	for _, r := range routes {
		for _, s := range r {
			p.room.join(p.gate(), s.gate)
		}
	}
	return routes, nil
}

// consult asks the delegate functions, on a goroutine of their own, and waits for as long as the pool has patience.
func (p *Pool) consult(ctx context.Context, param any) (delegation, Reason) {
	if p.asking.Add(1) > int64(p.Config().MaxWorkers) { // as many as may run wait for one that does not answer
		p.asking.Add(-1)
		return delegation{}, PoolTimeout
	}
	found := make(chan delegation, 1)
	go func() {
		d := delegation{err: ErrGoexit}
		defer func() {
			if reason := recover(); reason != nil {
				d.err = fmt.Errorf("the delegate function: %w", &penstock.PanicError{Value: reason, Stack: debug.Stack()})
			}
			p.asking.Add(-1)
			found <- d
		}()
		d.routes, d.err = p.explore(param, nil, nil)
	}()
	patience := time.NewTimer(p.patience)
	defer patience.Stop()
	select {
	case d := <-found:
		return d, accepted
	case <-patience.C:
		return delegation{}, PoolTimeout
	case <-ctx.Done():
		p.gate().desert()
		return delegation{err: ctx.Err()}, accepted
	}
}

// delegation is what delegate functions answered.
type delegation struct {
	routes []route
	err    error
}

// explore appends to found every way that goes on from below through the pool, up to one that delegates no further.
func (p *Pool) explore(param any, below route, found []route) ([]route, error) {
	s := &p.gate().state
	if slices.Contains(below, s) {
		return nil, fmt.Errorf("%w: the pools delegate in a circle: %s", penstock.ErrInvalid, circle(below, s))
	}
	path := append(slices.Clip(below), s)
	above := []*Pool{p.to}
	switch {
	case p.delegate != nil:
		above = p.delegate(param)
	case p.to == nil:
		if len(found) == maxRoutes {
			return nil, fmt.Errorf("%w: the delegate functions open more than %d ways up", penstock.ErrInvalid, maxRoutes)
		}
		return append(found, path), nil
	}
	for _, next := range above {
		if next == nil {
			continue // a pool that is no more, as far as its owner knows
		}
		if next.room != p.room {
			return nil, fmt.Errorf("%w: pool %q belongs to another system", penstock.ErrInvalid, next.name)
		}
		var err error
		if found, err = next.explore(param, path, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// circle spells out the pools of a circle that ends where it begins.
func circle(path route, again *state) string {
	var names []string
	for _, s := range append(path[slices.Index(path, again):], again) {
		names = append(names, s.gate.pool.name)
	}
	return strings.Join(names, " → ")
}
