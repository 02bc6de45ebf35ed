package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool/internal/proc"
)

// children are the warm children of a pool.
type children struct {
	cfg      Processes
	logger   *slog.Logger
	launcher proc.Launcher

	mu      sync.Mutex
	idle    []*child           // the one used last at the end
	spare   *child             // has served nobody: it takes the place of the next one that is used up
	rearing context.CancelFunc // not nil: a spare is being started
	closed  bool
	behind  sync.WaitGroup // children that are being started or ended behind somebody's back
}

func (cs *children) configure(cfg Processes, logger *slog.Logger) {
	cs.cfg, cs.logger = cfg.withDefaults(), logger
}

// callChild runs a registered function in a child of the job's pool, or in a new one under Guard.
func callChild(ctx context.Context, j *Job, name string, asJSON bool, in, out any) error {
	if !validName(name) {
		return fmt.Errorf("%w call: the function's name is %d bytes long or not UTF-8; it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, len(name), maxName)
	}
	var cs *children
	if j.pool != nil {
		cs = &j.pool.children
	} else {
		cs = new(children)
		cs.configure(Processes{MaxIdle: NoIdle}, slog.New(slog.DiscardHandler))
		defer cs.close()
	}
	for {
		c, err := cs.take(ctx, j.task.MaxMemory)
		if err != nil {
			return fmt.Errorf("%s: %w", taskOf(j.PoolName(), j.task.Name), err)
		}
		fine, err := c.call(ctx, j, name, asJSON, in, out)
		if fine {
			cs.give(c)
		}
		if !errors.Is(err, errWorn) {
			return err
		}
	}
}

// take returns a warm child that may serve the call, or a new one.
func (cs *children) take(ctx context.Context, memory int64) (*child, error) {
	for {
		c := cs.pop()
		if c == nil {
			return startChild(ctx, &cs.launcher, &cs.cfg)
		}
		c.timer.Stop()
		if c.fits(memory) {
			return c, nil
		}
		c.end()
	}
}

// pop returns the child that was used last, the spare if all are at work, nil if there is none.
func (cs *children) pop() *child {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := len(cs.idle)
	if n == 0 {
		c := cs.spare
		cs.spare = nil
		return c
	}
	c := cs.idle[n-1]
	cs.idle = slices.Delete(cs.idle, n-1, n)
	return c
}

// give takes a child back. The last call that a child serves does not wait until it has ended, and the next call does not
// wait until another has started.
func (cs *children) give(c *child) {
	if !cs.put(c) {
		c.end()
	}
}

// put reports whether the child is taken care of.
func (cs *children) put(c *child) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	usedUp := c.calls >= cs.cfg.MaxCalls
	switch {
	case cs.closed || cs.cfg.MaxIdle == 0 || !usedUp && len(cs.idle) >= cs.cfg.MaxIdle:
		return false
	case usedUp:
		cs.behind.Go(c.end)
	default:
		cs.keep(c)
		cs.idle = append(cs.idle, c)
	}
	if c.calls >= cs.cfg.MaxCalls-cs.cfg.MaxCalls/spareEarly && cs.spare == nil && cs.rearing == nil {
		var ctx context.Context
		ctx, cs.rearing = context.WithCancel(context.Background())
		cs.behind.Go(func() { cs.rear(ctx) })
	}
	return true
}

// spareEarly is for which part of a child's calls, its last ones, there is a spare.
const spareEarly = 16

// keep has a child retire when it has not been used for long.
func (cs *children) keep(c *child) {
	if c.timer == nil {
		c.timer = time.AfterFunc(cs.cfg.IdleTime, func() { cs.retire(c) })
	} else {
		c.timer.Reset(cs.cfg.IdleTime)
	}
}

// rear starts a spare. Should it fail, so will the next call that needs a child, which says so.
func (cs *children) rear(ctx context.Context) {
	c, err := startChild(ctx, &cs.launcher, &cs.cfg)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.rearing()
	cs.rearing = nil
	switch {
	case cs.closed:
		if err == nil {
			cs.behind.Go(c.end)
		}
	case err != nil:
		cs.logger.Warn("no child in reserve", "err", err)
	default:
		cs.keep(c)
		cs.spare = c
	}
}

// retire ends a child that has been idle for long.
func (cs *children) retire(c *child) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	i := slices.Index(cs.idle, c)
	switch {
	case cs.closed:
		return // it is about to be ended
	case i >= 0:
		cs.idle = slices.Delete(cs.idle, i, i+1)
	case cs.spare == c:
		cs.spare = nil
	default:
		return // it is at work again
	}
	cs.behind.Go(c.end)
}

// close ends all children. No call is under way, but those of functions that are stuck.
func (cs *children) close() {
	cs.mu.Lock()
	idle := cs.idle
	if cs.spare != nil {
		idle = append(idle, cs.spare)
	}
	if cs.rearing != nil {
		cs.rearing()
	}
	cs.idle, cs.spare, cs.closed = nil, nil, true
	cs.mu.Unlock()
	for _, c := range idle {
		c.timer.Stop()
		c.end()
	}
	cs.behind.Wait()
	cs.launcher.Close()
}
