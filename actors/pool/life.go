package pool

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock"
)

// Drain lets nobody in any more, until [Pool.Resume], and waits until nothing runs: new tasks are rejected, those that wait
// stay in line. The error is ctx's, or says how many functions are stuck and may never return.
func (p *Pool) Drain(ctx context.Context) error {
	g := p.gate()
	grp := g.lock()
	g.state.draining = true
	grp.unlock()
	return p.await(ctx, func(*group) bool { return p.gate().state.still() })
}

// Resume lets tasks in again after [Pool.Drain].
func (p *Pool) Resume() {
	g := p.gate()
	grp := g.lock()
	defer grp.unlock()
	g.state.draining = false
	grp.stir.add(&g.state)
}

// Close stops the pool: it takes nothing new, lets those who wait have their turn, and waits until all have ended. When ctx
// ends first, those that wait are rejected and those that run are killed, with [penstock.ErrClosed] as the cause. The
// error tells of both, and of functions that are stuck: Go cannot end them. Pools that delegate to it reject what they are
// asked. Close may be called more than once; every call returns when the closing is done, or its ctx.
func (p *Pool) Close(ctx context.Context) error {
	err := p.finish(ctx)
	p.seat.Remove(penstock.ErrClosed)
	return err
}

// finish is Close but for the actor, which the room ends when the system is closed.
func (p *Pool) finish(ctx context.Context) error {
	first := false
	p.closing.Do(func() { first = true })
	if !first {
		select {
		case <-p.closed:
			return p.closeErr
		case <-ctx.Done():
			return p.fault(ctx.Err())
		}
	}
	defer close(p.closed)
	p.closeErr = p.windUp(ctx)
	return p.closeErr
}

func (p *Pool) windUp(ctx context.Context) error {
	g := p.gate()
	g.shut()
	p.room.links.leave(p)
	err := p.await(ctx, func(grp *group) bool { return g.state.still() && !grp.awaits(&g.state) })
	cut := g.end()
	if cut > 0 {
		err = p.fault(fmt.Errorf("%d tasks were cut short: %w", cut, context.Cause(ctx)))
	}
	// They have been told to stop, and count as stuck after their grace at the latest.
	if late := p.await(context.WithoutCancel(ctx), func(*group) bool { return g.state.still() }); late != nil {
		err = late
	}
	grp := g.lock()
	g.rest()
	grp.part(&g.state)
	grp.unlock()
	p.children.close()
	return err
}

// shut lets nothing new in.
func (g *gate) shut() {
	grp := g.lock()
	defer grp.unlock()
	g.state.shut, g.state.draining = true, false
	grp.stir.add(&g.state)
}

// end rejects who waits and kills who runs, and returns how many that were.
func (g *gate) end() (cut int) {
	grp := g.lock()
	g.state.ended = true
	var victims []*job
	for member := range grp.members {
		for j := range member.jobs.all() {
			switch {
			case j.phase == waiting:
				if j.claim.loses(&g.state) {
					member.turnAway(grp, j, &g.state, Closed, nil)
					cut++
				}
			case j.claim.through(&g.state) && j.settle(killed, j.kill(penstock.ErrClosed)):
				victims = append(victims, j)
			}
		}
	}
	for _, j := range victims {
		j.abort(grp)
	}
	grp.unlock()
	for _, j := range victims {
		j.tell()
	}
	return cut + len(victims)
}

// await waits until done, which sees the group locked, says so. The error is ctx's, or tells of stuck functions.
func (p *Pool) await(ctx context.Context, done func(*group) bool) error {
	g := p.gate()
	for {
		grp := g.lock()
		yes, stuck := done(grp), g.state.stuck
		if !yes && grp.quieter == nil {
			grp.quieter = make(chan struct{})
		}
		quieter := grp.quieter
		grp.unlock()
		if yes {
			if stuck > 0 {
				return p.fault(fmt.Errorf("%w: %d functions ignore that their context has ended", ErrStuck, stuck))
			}
			return nil
		}
		select {
		case <-quieter:
		case <-ctx.Done():
			return p.fault(ctx.Err())
		}
	}
}
