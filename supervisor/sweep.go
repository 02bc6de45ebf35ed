package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// sweepChunk is how many children are looked at before other messages get a turn.
const sweepChunk = 4096

// armSweeper sees to it that a sweep comes while there is anything to sweep.
func (s *spawner[K, V]) armSweeper() {
	spec := &s.family.spec
	every := min(max(spec.Idle/4, time.Millisecond), time.Minute)
	if spec.Idle == 0 {
		every = spec.Intensity.Period // nothing is passivated, but failures are forgotten
	}
	busy := spec.Idle > 0 && len(s.children)+len(s.dormant) > 0 || len(s.records) > 0
	if s.sweeper == nil && busy && !s.halting {
		s.sweeper = time.AfterFunc(every, func() { s.send(sweep{below: -1}) })
	}
}

// sweep passivates idle children, a chunk at a time. It goes backwards because a child that ends meanwhile is replaced
// by the last of the list, which has been looked at.
func (s *spawner[K, V]) sweep(below int) {
	if s.halting {
		return
	}
	if below < 0 || below > len(s.children) {
		below = len(s.children)
	}
	from := max(0, below-sweepChunk)
	if s.family.spec.Idle > 0 {
		for i := below - 1; i >= from; i-- {
			s.passivate(s.children[i])
		}
	}
	if from > 0 {
		s.send(sweep{below: from})
		return
	}
	s.forget()
	s.sweeper = nil
	s.armSweeper()
}

// passivate stops the child if it is idle and nothing about it needs to be remembered.
func (s *spawner[K, V]) passivate(c *child[K, V]) {
	e := c.entry
	if c.passive || s.unused(e) < s.family.spec.Idle || !e.Life().Retire() {
		return
	}
	if !c.idle() || !s.family.mayForget(e) {
		e.Life().Reopen()
		e.Life().Open()
		return
	}
	c.passive = true
	s.family.directory.Remove(e)
	c.stop()
}

// forget drops old failures, and entries that were given up and hold nothing any more.
func (s *spawner[K, V]) forget() {
	now := time.Now()
	for e, r := range s.records {
		if r.forget(now, s.family.spec.Intensity) {
			delete(s.records, e)
		}
	}
	if s.family.spec.Idle == 0 {
		return
	}
	for e := range s.dormant {
		if s.unused(e) < s.family.spec.Idle || !e.Life().Retire() {
			continue
		}
		if !s.family.mayForget(e) {
			e.Life().Reopen()
			continue
		}
		delete(s.dormant, e)
		s.family.directory.Remove(e)
	}
}

// unused is for how long nobody has used the entry.
func (s *spawner[K, V]) unused(e *registry.Entry[K, V]) time.Duration {
	return s.family.tree.clock.Elapsed() - e.Life().LastUsed()
}

// startOver stops every child; the next use of its key starts it again with the value it has.
func (s *spawner[K, V]) startOver(m startOver) {
	s.overrule = m.reason
	if m.final {
		s.refusal = m.reason
	}
	for e, back := range s.waiting {
		back.timer.Stop()
		delete(s.waiting, e)
		s.putToSleep(e, back.parked, m.reason)
	}
	for _, c := range s.children {
		c.removed = true
		c.stop()
	}
}

// halt stops every child, and then the spawner itself.
func (s *spawner[K, V]) halt(ctx actor.Context) {
	s.halting = true
	if s.sweeper != nil {
		s.sweeper.Stop()
	}
	for _, back := range s.waiting {
		if back.timer != nil {
			back.timer.Stop()
		}
		for _, message := range back.parked {
			refuse(message, ErrClosed)
		}
	}
	clear(s.waiting)
	for _, c := range s.children {
		c.stop()
	}
	s.haltIfAlone(ctx)
}

// haltIfAlone waits for both words of every child's end: its own, and the engine's, which would find nobody here.
func (s *spawner[K, V]) haltIfAlone(ctx actor.Context) {
	if s.halting && len(s.children) == 0 && s.alive == 0 {
		ctx.Stop(ctx.Self())
	}
}
