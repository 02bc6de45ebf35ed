package pool

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// Pool is a handle to a pool of a system: see [New]. It is safe for concurrent use.
type Pool struct {
	room     *room
	seat     *supervisor.Seat[*Pool]
	door     gate
	name     string
	to       *Pool                   // that it delegates to; nil if it does not, or by a function
	delegate func(param any) []*Pool // nil if it does not delegate by a function
	patience time.Duration           // with the delegate function
	routes   []route                 // its one way up; nil if a delegate function is on it
	asking   atomic.Int64            // delegate functions that have not answered
	logger   *slog.Logger
	metrics  *metrics
	children children // of the process tier
	closing  sync.Once
	closed   chan struct{} // closed when Close is done
	closeErr error         // valid once closed is closed
	member   string        // the node that it is a pool of; empty if it is one of this node
	there    string        // its name at that node
	link     *link         // to pools of other nodes; nil if they have none to this one, nor this one to them
}

// Name is the pool's name.
func (p *Pool) Name() string { return p.name }

func (p *Pool) gate() *gate { return &p.door }

// start asks for room for a prepared job, and has it run if there is. If it has to wait its turn comes later.
func (p *Pool) start(ctx context.Context, j *job) error {
	routes, err := p.routesFor(ctx, &j.task)
	if err == nil && leadFar(routes) {
		routes, err = p.passable(j, routes)
	}
	if err != nil {
		return err
	}
	j.gate, j.claim.routes, j.claim.seq = p.gate(), routes, j.ref
	j.asked = p.room.clock.Now()
	waits, err := j.gate.admit(j)
	switch {
	case err != nil:
		p.event(ctx, "task rejected", j, err)
	case waits:
		p.event(ctx, "task waits", j, nil)
	default:
		j.begin()
	}
	return err
}

// Kill ends all jobs of this task name that run or wait, in this pool and in those that delegate to it, and returns how
// many. Their callers get a [KilledError] with the cause, or with [ErrKilled] if that is nil.
func (p *Pool) Kill(name string, cause error) int {
	return p.kill(func(j *job) bool { return j.task.Name == name }, cause)
}

// KillRef is [Pool.Kill] for the one job with this number: Handler's kill_by_ref. It reports whether there was one.
func (p *Pool) KillRef(ref uint64, cause error) bool {
	return p.kill(func(j *job) bool { return j.ref == ref }, cause) > 0
}

// Flush is [Pool.Kill] for all jobs.
func (p *Pool) Flush(cause error) int {
	return p.kill(func(*job) bool { return true }, cause)
}

func (p *Pool) kill(which func(*job) bool, cause error) int {
	k := &kill{gate: p.gate(), which: which, cause: cause, killed: make(chan int, 1)}
	p.seat.Send(k)
	return <-k.killed
}

// SetMaxWorkers changes how many tasks may run at once; see Config.MaxWorkers. Those above it go on.
func (p *Pool) SetMaxWorkers(n int) error { return p.change(func(c *Config) { c.MaxWorkers = n }) }

// SetMaxMemory changes how much the tasks that run may declare; see Config.MaxMemory. Those above it go on. Who waits and
// asks for more than there is now in all is rejected.
func (p *Pool) SetMaxMemory(bytes int64) error {
	return p.change(func(c *Config) { c.MaxMemory = bytes })
}

// SetMaxWaiting changes how many tasks may wait; see Config.MaxWaiting. Those who wait already stay.
func (p *Pool) SetMaxWaiting(n int) error { return p.change(func(c *Config) { c.MaxWaiting = n }) }

// SetMaxWait changes how long a task may wait, from now on; see Config.MaxWait.
func (p *Pool) SetMaxWait(d time.Duration) error { return p.change(func(c *Config) { c.MaxWait = d }) }

// SetMaxStuck changes how many stuck functions are tolerated; see Config.MaxStuck.
func (p *Pool) SetMaxStuck(n int) error { return p.change(func(c *Config) { c.MaxStuck = n }) }

// change puts a changed configuration in force. If it is bad nothing has happened.
func (p *Pool) change(edit func(*Config)) error {
	g := p.gate()
	grp := g.lock()
	defer grp.unlock()
	if g.state.shut {
		return p.fault(penstock.ErrClosed)
	}
	cfg := g.cfg
	edit(&cfg)
	if err := cfg.validate(); err != nil {
		return p.fault(fmt.Errorf("%w configuration: %w", penstock.ErrInvalid, err))
	}
	g.settle(cfg.withDefaults())
	for member := range grp.members { // whoever can never be let in any more need not wait
		for j := range member.jobs.all() {
			if j.phase == waiting && j.claim.hopeless() {
				member.turnAway(grp, j, &g.state, NoMemory, nil)
			}
		}
	}
	grp.stir.add(&g.state)
	return nil
}

// Config is the configuration in force, with its defaults filled in.
func (p *Pool) Config() Config {
	g := p.gate()
	grp := g.lock()
	defer grp.unlock()
	return g.cfg
}

// fault says at which pool an error happened.
func (p *Pool) fault(err error) error { return fmt.Errorf("pool %q: %w", p.name, err) }

// event logs, for who debugs, what the metrics count.
func (p *Pool) event(ctx context.Context, what string, j *job, err error) {
	if p.logger.Enabled(ctx, slog.LevelDebug) {
		p.logger.LogAttrs(ctx, slog.LevelDebug, what, slog.String("task", j.task.Name), slog.Uint64("job", j.ref), slog.Any("err", err))
	}
}

// report counts how a job ended, once its function has returned.
func (g *gate) report(j *job, how outcome, took time.Duration, stuck bool) {
	p := g.pool
	if p == nil {
		return
	}
	p.metrics.ended(how, took)
	if stuck {
		p.logger.Warn("a stuck function returned", "task", j.task.Name, "job", j.ref, "took", took)
	}
	p.event(context.Background(), "task ended", j, j.err)
}

// reportStuck tells of a function that ignores the end of its context.
func (g *gate) reportStuck(j *job) {
	if p := g.pool; p != nil {
		p.logger.Warn("a function ignores that its context has ended: its worker and its memory are not free", "task", j.task.Name, "job", j.ref, "tier", j.Tier().String(), "cause", j.err)
	}
}
