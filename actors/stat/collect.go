package stat

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// maxCalled bounds how many actors may have been called and not have collected yet: an actor that runs does so at once, on
	// the goroutine that calls it, and one that is being started does so when it has been.
	maxCalled = 16
	// levels is how often a key's flushes get smaller because they are refused.
	levels = 8
)

// added follows each addition to a tally's cell, and does something after the first.
func (l *ledger[K, P, C]) added(t *tally[K, P, C], first bool) {
	if first || l.journal != nil { // so short that it is inlined
		l.addedNow(t, first)
	}
}

func (l *ledger[K, P, C]) addedNow(t *tally[K, P, C], first bool) {
	if l.journal != nil {
		t.note.list()
	}
	if first {
		l.armed(t)
	}
}

// armed puts a tally on the stack. It takes no lock and sends no message.
func (l *ledger[K, P, C]) armed(t *tally[K, P, C]) {
	now := l.clock.Elapsed()
	t.since.Store(int64(now))
	t.link.Due = now + l.cfg.Interval
	if l.cfg.Jitter > 0 {
		t.link.Due += rand.N(l.cfg.Jitter + 1)
	}
	for {
		t.below = l.stack.Load()
		if l.stack.CompareAndSwap(t.below, t) {
			break
		}
	}
	l.wind()
}

// wind has a tick come, if none does.
func (l *ledger[K, P, C]) wind() {
	if l.ticking.CompareAndSwap(false, true) {
		l.ticker.Reset(l.wheel.Next(l.clock.Elapsed()))
	}
}

// tick has what is due collected.
func (l *ledger[K, P, C]) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.absorb()
	l.wheel.Advance(l.clock.Elapsed(), func(t *tally[K, P, C]) {
		t.where = nowhere
		l.enqueue(t)
	})
	l.pump()
	if l.wheel.Len() > 0 {
		l.ticker.Reset(l.wheel.Next(l.clock.Elapsed()))
		return
	}
	l.ticking.Store(false)
	if l.stack.Load() != nil { // armed since, by somebody who saw that a tick was to come
		l.wind()
	}
}

// absorb takes the stack into the schedule.
func (l *ledger[K, P, C]) absorb() {
	for t := l.stack.Swap(nil); t != nil; {
		below := t.below
		t.below = nil
		t.linked = true
		if t.where == nowhere && !t.late {
			l.schedule(t)
		}
		t = below
	}
}

// enqueue has a tally's actor called, if it is nowhere.
func (l *ledger[K, P, C]) enqueue(t *tally[K, P, C]) {
	if t.where == nowhere {
		t.where = ready
		l.ready.Push(t)
	}
}

// pump calls the actors of those that are ready, on a goroutine that ends when there are none.
func (l *ledger[K, P, C]) pump() {
	if l.pumping || l.ready.Empty() {
		return
	}
	l.pumping = true
	go func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for !l.ready.Empty() {
			for l.called >= maxCalled {
				l.turn.Wait()
			}
			t := l.ready.Pop()
			t.where = called
			l.called++
			l.call(t)
		}
		l.pumping = false
		l.finish()
	}()
}

// call sends the tally to its actor. The mutex is held, but not meanwhile: a dispatcher may run the actor right here.
func (l *ledger[K, P, C]) call(t *tally[K, P, C]) {
	l.mu.Unlock()
	defer l.mu.Lock()
	l.family.Send(t.entry, t)
}

// collect is the actor's work: it takes what its key's cell holds into a batch.
func (l *ledger[K, P, C]) collect(t *tally[K, P, C]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.where != called {
		return
	}
	t.where = nowhere
	l.called--
	l.turn.Signal()
	if !l.over {
		l.gather(t)
	}
	l.finish()
}

// finish seals what has been collected when no more is to come now.
func (l *ledger[K, P, C]) finish() {
	if l.called > 0 || l.pumping {
		return
	}
	for level := range l.open {
		l.seal(level)
	}
	l.work()
	l.checkSettled()
}

// gather empties a tally's cell into the open batch. A key is in one batch at a time, so that its counts are stored in the
// order of their counting, and a sink that is down costs a key two numbers however long it takes.
func (l *ledger[K, P, C]) gather(t *tally[K, P, C]) {
	if t.flight != nil {
		t.late = true
		return
	}
	since, then := l.clock.Elapsed(), asItWas
	if t.linked {
		t.linked = false
		since = time.Duration(t.since.Load())
		then = toIdle
	}
	if l.closing {
		then = toClosed
	}
	level := l.level(t)
	b := l.open[level]
	if b == nil {
		b = &batch[K, P, C]{oldest: since, tried: int(t.tries)}
		l.open[level] = b
	}
	had := len(b.deltas)
	list, exact := l.form.take(t, then, b.deltas)
	if !exact {
		l.overflowed(t)
	}
	if len(list) == had {
		if l.journal != nil {
			l.journal.vanished(t.note)
		}
		t.asked.settle(nil)
		t.asked = nil
		return
	}
	if l.journal != nil {
		t.note.take()
	}
	b.deltas = list
	b.tallies = append(b.tallies, t)
	b.oldest = min(b.oldest, since)
	b.tried = min(b.tried, int(t.tries))
	t.flight, t.first, t.count = b, int32(had), int32(len(list)-had)
	t.flying, t.asked = t.asked, nil
	if len(b.deltas) >= max(1, l.cfg.MaxBatch>>(3*level)) {
		l.seal(level)
		l.work()
	}
}

// level is how small the tally's flushes are to be. The last attempt of what was refused is made with it alone, so that nothing is
// given up for what it was together with.
func (l *ledger[K, P, C]) level(t *tally[K, P, C]) int {
	if t.tries > 0 && l.cfg.MaxAttempts > 0 && int(t.tries) >= l.cfg.MaxAttempts-1 {
		return levels - 1
	}
	return int(t.level)
}

// seal closes an open batch, which is from now on what it is.
func (l *ledger[K, P, C]) seal(level int) {
	b := l.open[level]
	l.open[level] = nil
	if b == nil || len(b.deltas) == 0 {
		return
	}
	b.id = l.flushID()
	if l.journal != nil {
		l.journal.seal(b)
		return
	}
	l.outbox.add(b)
}

func (l *ledger[K, P, C]) overflowed(t *tally[K, P, C]) {
	l.counts.Overflows++
	l.logger.LogAttrs(context.Background(), slog.LevelError, "a count reached the end of int64; what was beyond it is lost", slog.Any("id", t.entry.Key()))
}

// schedule has a tally that is nowhere collected when it is due.
func (l *ledger[K, P, C]) schedule(t *tally[K, P, C]) {
	t.where = scheduled
	l.wheel.Add(t)
}

func (l *ledger[K, P, C]) unschedule(t *tally[K, P, C]) {
	l.wheel.Remove(t)
	t.where = nowhere
}
