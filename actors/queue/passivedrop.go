package queue

import (
	"context"
	"log/slog"
)

// passiveDrop is an item that will not be handed out, and why.
type passiveDrop[T any] struct {
	item   *Item[T]
	reason error
}

// dispose logs what was dropped and has Dropped told of it.
func (p *Passive[T]) dispose(gone []*Item[T], because error) {
	now := p.room.clock.Now()
	drops := make([]passiveDrop[T], len(gone))
	for i, x := range gone {
		reason := because
		if reason == nil {
			reason = &PassiveTimeoutError{Queue: p.name, Waited: now.Sub(x.At)}
		}
		drops[i] = passiveDrop[T]{x, reason}
	}
	if ctx := context.Background(); p.room.logger.Enabled(ctx, slog.LevelDebug) {
		for _, d := range drops {
			p.room.logger.LogAttrs(ctx, slog.LevelDebug, "item dropped", slog.String("queue", p.name), slog.Duration("waited", now.Sub(d.item.At)), slog.Any("err", d.reason))
		}
	}
	if p.cfg.Dropped == nil {
		return
	}
	p.mu.Lock()
	p.drops = append(p.drops, drops...)
	start := !p.telling
	p.telling = true
	p.mu.Unlock()
	if start {
		go p.tell()
	}
}

// tell tells Dropped of what there is to tell.
func (p *Passive[T]) tell() {
	for {
		p.mu.Lock()
		if len(p.drops) == 0 {
			p.drops, p.telling = nil, false
			p.settle()
			p.mu.Unlock()
			return
		}
		d := p.drops[0]
		p.drops[0] = passiveDrop[T]{}
		p.drops = p.drops[1:]
		p.mu.Unlock()
		if err := p.dropped(d); err != nil {
			p.room.logger.Error("a queue's Dropped panicked", "queue", p.name, "err", err)
		}
		p.mu.Lock()
		p.state.untold--
		p.mu.Unlock()
	}
}

func (p *Passive[T]) dropped(d passiveDrop[T]) (err error) {
	defer caught(&err)
	p.cfg.Dropped(*d.item, d.reason)
	return nil
}
