package stat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/penstock-go/penstock"
)

// flushKey waits until what was counted for a key before the call is stored.
func (l *ledger[K, P, C]) flushKey(ctx context.Context, key K) error {
	return l.wait(ctx, func(a *ask) {
		if e, ok := l.family.Lookup(key); ok {
			l.ask(&e.Value, a)
		}
	})
}

// flushSoon has what was counted for a key flushed at once, and does not wait for it.
func (l *ledger[K, P, C]) flushSoon(key K) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return fmt.Errorf("stat buffer %q: %w", l.name, penstock.ErrClosed)
	}
	if e, ok := l.family.Lookup(key); ok {
		l.absorb()
		l.hasten(&e.Value)
		l.pump()
		l.work()
	}
	return nil
}

// flushAll waits until everything that was counted before the call is stored.
func (l *ledger[K, P, C]) flushAll(ctx context.Context) error {
	return l.wait(ctx, func(a *ask) {
		for e := range l.family.All() {
			l.ask(&e.Value, a)
		}
	})
}

// wait asks, and waits until it is answered or ctx ends.
func (l *ledger[K, P, C]) wait(ctx context.Context, question func(*ask)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &ask{left: 1, done: make(chan struct{})} // the question itself is one, so that it is not answered before it is asked
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return fmt.Errorf("stat buffer %q: %w", l.name, penstock.ErrClosed)
	}
	l.absorb()
	question(a)
	(&asking{ask: a}).settle(nil)
	l.pump()
	l.work()
	l.mu.Unlock()
	select {
	case <-a.done:
		if a.err != nil {
			return fmt.Errorf("stat buffer %q: %w", l.name, a.err)
		}
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a.gaveUp = true
	if last := l.counts.LastError; last != nil {
		return fmt.Errorf("stat buffer %q: not everything is flushed yet; it will be tried on: %w; last failure: %w", l.name, ctx.Err(), last)
	}
	return fmt.Errorf("stat buffer %q: not everything is flushed yet; it will be tried on: %w", l.name, ctx.Err())
}

// ask has a tally's content flushed, and counts it in with the ask if there is any. The mutex is held.
func (l *ledger[K, P, C]) ask(t *tally[K, P, C], a *ask) {
	switch {
	case l.form.isArmed(t):
		a.left++
		t.asked = &asking{ask: a, next: t.asked.waiting()}
	case t.flight != nil:
		a.left++
		t.flying = &asking{ask: a, next: t.flying.waiting()}
	default:
		return
	}
	l.hasten(t)
}

// hasten has a tally's content flushed now, and what is on its way tried again now. The mutex is held.
func (l *ledger[K, P, C]) hasten(t *tally[K, P, C]) {
	if t.flight != nil {
		l.outbox.hurry(t.flight, l.clock.Elapsed())
	}
	if !l.form.isArmed(t) {
		return
	}
	if t.where == scheduled {
		l.unschedule(t)
	}
	if t.flight != nil {
		t.late = true
		return
	}
	l.enqueue(t)
}

// drain is the buffer's Close, after the intake was stopped: it closes every cell and waits until all that was in them is
// stored, or ctx ends.
func (l *ledger[K, P, C]) drain(ctx context.Context) error {
	<-l.opened
	l.mu.Lock()
	l.closing = true
	if j := l.journal; j != nil {
		j.checkCalm()
		l.mu.Unlock()
		select { // before any cell closes
		case <-j.calm:
		case <-ctx.Done():
		}
		l.mu.Lock()
	}
	l.absorb()
	for e := range l.family.All() {
		t := &e.Value
		l.hasten(t)
		if t.flight == nil {
			l.enqueue(t) // also if it is idle: its cell is to be closed
		} else {
			t.late = true
		}
	}
	l.pump()
	l.work()
	l.checkSettled()
	l.mu.Unlock()
	select {
	case <-l.settled:
	case <-ctx.Done():
	}
	err := l.conclude(ctx)
	l.metrics.close()
	if l.port != nil {
		l.port.Close()
	}
	return err
}

// checkSettled ends drain's wait when nothing is left on its way.
func (l *ledger[K, P, C]) checkSettled() {
	if l.closing && !l.over && l.ready.Empty() && l.called == 0 && !l.pumping && l.outbox.len() == 0 && (l.journal == nil || len(l.journal.flushes) == 0) {
		select {
		case <-l.settled:
		default:
			close(l.settled)
		}
	}
}

// conclude ends the buffer's life: nothing is tried any more, and what was not stored is handed over, or kept in the journal.
func (l *ledger[K, P, C]) conclude(ctx context.Context) error {
	l.mu.Lock()
	if l.over { // it was never opened
		l.mu.Unlock()
		return nil
	}
	left, keys := l.remains()
	l.over = true
	l.ticker.Stop()
	l.retry.Stop()
	l.end()
	last := l.counts.LastError
	l.mu.Unlock()
	var err error
	if l.journal != nil {
		if err = l.journal.finish(); err != nil {
			err = fmt.Errorf("stat buffer %q: journal: %w", l.name, err)
		}
	}
	if keys == 0 {
		return err
	}
	reason := &NotStoredError{Buffer: l.name, Keys: keys, Kept: l.journal != nil && err == nil, Cause: last}
	if !reason.Kept {
		for _, b := range left {
			l.handOver(b, reason)
		}
	}
	return errors.Join(reason, context.Cause(ctx), err)
}

// remains closes every cell, and returns what is not stored: as flushes, whatever else it may be in the journal, and how many
// keys' it is. Whoever waits for one of them is told that the buffer has closed.
func (l *ledger[K, P, C]) remains() (left []*batch[K, P, C], keys int) {
	for level := range l.open {
		l.seal(level)
	}
	left = l.unsettled()
	for _, b := range left { // the directory may not have their keys any more: see renew
		keys += len(b.tallies)
		for _, t := range b.tallies {
			t.flying.settle(penstock.ErrClosed)
			t.flying = nil
		}
	}
	rest := &batch[K, P, C]{id: l.flushID()}
	for e := range l.family.All() {
		t := &e.Value
		t.asked.settle(penstock.ErrClosed)
		t.asked = nil
		had := len(rest.deltas)
		rest.deltas, _ = l.form.take(t, toClosed, rest.deltas)
		if l.journal != nil {
			t.note.recorded = recorded{}
		}
		if len(rest.deltas) == had {
			continue
		}
		if t.flight == nil {
			keys++
		}
		rest.tallies = append(rest.tallies, t)
		if l.journal != nil { // as a count: a key is in one flush at a time
			t.note.recorded = recorded{n: rest.deltas[had].N, has: true}
		}
	}
	if len(rest.tallies) > 0 {
		left = append(left, rest)
	}
	return left, keys
}

// unsettled are the flushes that are on their way. Those that wait in the outbox are taken out of it.
func (l *ledger[K, P, C]) unsettled() (list []*batch[K, P, C]) {
	list = l.outbox.all()
	for b := range l.flying {
		list = append(list, b)
	}
	if l.journal != nil {
		for b := range l.journal.flushes {
			if !slices.Contains(list, b) { // it waits for its record to be written
				list = append(list, b)
			}
		}
	}
	return list
}

// abandon ends a buffer that could not be opened, and leaves its journal as it is.
func (l *ledger[K, P, C]) abandon() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l.mu.Lock()
	j := l.journal
	l.journal, l.over = nil, true
	l.mu.Unlock()
	if j != nil {
		j.timer.Stop()
	}
	_ = l.family.Close(ctx)
	if j != nil {
		return j.file.close()
	}
	return nil
}
