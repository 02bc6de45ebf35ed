package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// exited decides what follows the end of a child.
func (s *spawner[K, V]) exited(ctx actor.Context, c *child[K, V], left []any) {
	s.unlist(c)
	left = append(left, s.late[c]...)
	delete(s.late, c)
	e := c.entry
	e.Life().Withdraw()
	f := s.family
	restart := f.spec.Restart
	switch {
	case s.halting:
		s.end(c, left, ErrClosed)
		s.haltIfAlone(ctx)
	case c.passive:
		f.tree.counts.passivated.Add(1)
		f.announce(Passivated, e.Key(), c.start.Generation, nil)
		for _, message := range left {
			s.reroute(e.Key(), message)
		}
	case e.Life().Dismissed():
		s.end(c, left, ErrClosed)
	case c.removed:
		s.putToSleep(e, left, s.overrule)
	case c.failure == nil && restart != Permanent, restart == Temporary:
		s.end(c, left, c.failure)
	default:
		s.failed(ctx, c, left)
	}
}

// failed starts the child again, now or after its back-off, or gives it up.
func (s *spawner[K, V]) failed(ctx actor.Context, c *child[K, V], left []any) {
	f, e := s.family, c.entry
	cause := c.failure
	if cause == nil {
		cause = errors.New("a permanent actor stopped by itself")
	}
	r := s.records[e]
	if r == nil {
		r = new(record)
		s.records[e] = r
	}
	count, allowed := r.fail(time.Now(), f.spec.Intensity)
	if !allowed {
		s.giveUp(ctx, c, left, cause)
		return
	}
	delay := f.spec.Backoff.delay(count)
	f.logger.LogAttrs(context.Background(), slog.LevelWarn, "actor failed and will be started again",
		slog.Any("id", e.Key()), slog.Any("cause", cause), slog.Int("failures", count), slog.Duration("after", delay))
	back := &comeback{cause: cause, parked: left}
	s.waiting[e] = back
	if delay == 0 {
		s.comeBack(ctx, e)
		return
	}
	back.timer = time.AfterFunc(delay, func() { s.send(restartDue[K, V]{e}) })
}

func (s *spawner[K, V]) comeBack(ctx actor.Context, e *registry.Entry[K, V]) {
	back := s.waiting[e]
	if back == nil || s.halting {
		return
	}
	delete(s.waiting, e)
	s.spawn(ctx, e, Restarted, back.cause, back.parked)
}

// giveUp leaves the entry without an actor until its next use. Its value stays, or a limit would be refilled.
func (s *spawner[K, V]) giveUp(ctx actor.Context, c *child[K, V], left []any, cause error) {
	f, e := s.family, c.entry
	reason := &GaveUpError{Kind: f.spec.Kind, Family: f.spec.Name, ID: fmt.Sprint(e.Key()), Cause: cause}
	f.logger.Error("actor failed too often and was given up until its next use", "id", e.Key(), "cause", cause)
	f.tree.counts.gaveUp.Add(1)
	f.announce(GaveUp, e.Key(), c.start.Generation, cause)
	s.putToSleep(e, left, reason)
	ctx.Send(ctx.Parent(), childGaveUp{reason})
}

func (s *spawner[K, V]) putToSleep(e *registry.Entry[K, V], left []any, reason error) {
	delete(s.records, e)
	s.dormant[e] = struct{}{}
	s.answer(e, left, reason)
	s.armSweeper()
}

// end forgets an entry for good.
func (s *spawner[K, V]) end(c *child[K, V], left []any, reason error) {
	f, e := s.family, c.entry
	e.Life().Condemn()
	f.directory.Remove(e)
	delete(s.records, e)
	f.tree.counts.stopped.Add(1)
	f.announce(Stopped, e.Key(), c.start.Generation, c.failure)
	if reason == nil {
		reason = ErrClosed
	}
	s.answer(e, left, reason)
}

// remove ends a dismissed entry: its child, or what waits for one.
func (s *spawner[K, V]) remove(e *registry.Entry[K, V]) {
	if a := e.Life().Actor(); a != nil {
		a.Mailbox.(*child[K, V]).stop()
		return
	}
	var parked []any
	if back := s.waiting[e]; back != nil {
		back.timer.Stop()
		parked = back.parked
		delete(s.waiting, e)
	}
	delete(s.records, e)
	delete(s.dormant, e)
	s.answer(e, parked, ErrClosed)
}

// answer tells everybody who waits at an entry that there is nobody to serve them.
func (s *spawner[K, V]) answer(e *registry.Entry[K, V], left []any, reason error) {
	s.family.tellEnded(e, reason)
	for _, message := range left {
		refuse(message, reason)
	}
}

func (s *spawner[K, V]) unlist(c *child[K, V]) {
	last := len(s.children) - 1
	s.children[c.place] = s.children[last]
	s.children[c.place].place = c.place
	s.children[last] = nil
	s.children = s.children[:last]
	if cap(s.children) > 64 && last < cap(s.children)/4 {
		s.children = append(make([]*child[K, V], 0, cap(s.children)/2), s.children...)
	}
}
