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

	mu     sync.Mutex
	idle   []*child // the one used last at the end
	closed bool
	ending sync.WaitGroup // children that are being ended behind somebody's back
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
		cs.mu.Lock()
		n := len(cs.idle)
		if n == 0 {
			cs.mu.Unlock()
			return startChild(ctx, &cs.launcher, &cs.cfg)
		}
		c := cs.idle[n-1]
		cs.idle = slices.Delete(cs.idle, n-1, n)
		cs.mu.Unlock()
		c.timer.Stop()
		if c.fits(memory) {
			return c, nil
		}
		c.end()
	}
}

// give takes a child back.
func (cs *children) give(c *child) {
	cs.mu.Lock()
	if cs.closed || len(cs.idle) >= cs.cfg.MaxIdle || c.calls >= cs.cfg.MaxCalls {
		cs.mu.Unlock()
		c.end()
		return
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(cs.cfg.IdleTime, func() { cs.retire(c) })
	} else {
		c.timer.Reset(cs.cfg.IdleTime)
	}
	cs.idle = append(cs.idle, c)
	cs.mu.Unlock()
}

// retire ends a child that has been idle for long.
func (cs *children) retire(c *child) {
	cs.mu.Lock()
	i := slices.Index(cs.idle, c)
	if i < 0 || cs.closed {
		cs.mu.Unlock()
		return // it is at work again, or about to be ended
	}
	cs.idle = slices.Delete(cs.idle, i, i+1)
	cs.ending.Add(1)
	cs.mu.Unlock()
	defer cs.ending.Done()
	c.end()
}

// close ends all children. No call is under way, but those of functions that are stuck.
func (cs *children) close() {
	cs.mu.Lock()
	idle := cs.idle
	cs.idle, cs.closed = nil, true
	cs.mu.Unlock()
	for _, c := range idle {
		c.timer.Stop()
		c.end()
	}
	cs.ending.Wait()
	cs.launcher.Close()
}
