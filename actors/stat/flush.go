package stat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
)

// work has as many flushers at work as there may be and is to do, and sets the timer for what waits for its back-off.
func (l *ledger[K, P, C]) work() {
	if l.over {
		return
	}
	now := l.clock.Elapsed()
	for l.outbox.running < l.cfg.MaxFlushes {
		b := l.launch(now)
		if b == nil {
			break
		}
		l.outbox.running++
		go l.flush(b)
	}
	if at, ok := l.outbox.again(); ok && l.outbox.running < l.cfg.MaxFlushes {
		l.retry.Reset(max(at-now, 0))
	}
}

func (l *ledger[K, P, C]) wakeFlushers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work()
}

var errGoexit = errors.New("the sink called runtime.Goexit")

// launch takes out the batch that is to be tried now.
func (l *ledger[K, P, C]) launch(now time.Duration) *batch[K, P, C] {
	b := l.outbox.next(now)
	if b != nil {
		l.flying[b] = true
	}
	return b
}

// flush is a flusher: it gives a batch to the sink, and leaves its place to the next one, if there is any.
func (l *ledger[K, P, C]) flush(b *batch[K, P, C]) {
	err := errGoexit // unless the sink returns
	defer func() {
		if next := l.next(b, err); next != nil {
			go l.flush(next)
		}
	}()
	err = l.try(b)
}

// next settles a batch, and is what its flusher does then.
func (l *ledger[K, P, C]) next(b *batch[K, P, C], err error) *batch[K, P, C] {
	if dropped := l.settle(b, err); dropped != nil {
		l.drop(b, dropped)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.launch(l.clock.Elapsed())
	if next == nil {
		l.outbox.running--
	}
	l.work()
	l.checkSettled()
	return next
}

// try gives a batch to the sink, once.
func (l *ledger[K, P, C]) try(b *batch[K, P, C]) (err error) {
	ctx, cancel := context.WithTimeout(l.life, l.cfg.FlushTimeout)
	defer cancel()
	start := time.Now()
	err = errGoexit // unless the sink returns
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
		l.metrics.flushed(len(b.deltas), time.Since(start), err)
	}()
	return l.cfg.Sink.Flush(ctx, Flush[P]{ID: b.id, Deltas: b.deltas})
}

// settle does what follows from an attempt. If the batch is given up it returns why.
func (l *ledger[K, P, C]) settle(b *batch[K, P, C], err error) (dropped error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flying, b)
	if l.over {
		return nil
	}
	now := l.clock.Elapsed()
	if err == nil {
		l.stored(b, now)
		return nil
	}
	b.attempts++
	attempts := b.tried + b.attempts
	b.err = err
	l.counts.Failures++
	l.counts.LastError = err
	final := l.cfg.MaxAttempts > 0 && attempts >= l.cfg.MaxAttempts
	level := slog.LevelWarn
	if final {
		level = slog.LevelError
	}
	l.logger.LogAttrs(context.Background(), level, "a flush failed", slog.String("flush", b.id), slog.Int("deltas", len(b.deltas)),
		slog.Int("attempts", attempts), slog.Bool("given up", final), slog.Any("err", err))
	switch {
	case final:
		return fmt.Errorf("%w after %d attempts: %w", ErrDropped, attempts, err)
	case errors.Is(err, ErrNotStored) && !l.closing: // while it closes cells do too: the batch keeps what it has
		l.refused(b, now+l.backoff(attempts))
	default:
		l.outbox.retry(b, now+l.backoff(attempts))
	}
	return nil
}

// backoff is how long to wait after the nth failure in a row: Backoff, doubled each time up to MaxBackoff, less up to half, so
// that what failed together does not come back together.
func (l *ledger[K, P, C]) backoff(n int) time.Duration {
	d := l.cfg.Backoff
	for ; n > 1 && d < l.cfg.MaxBackoff; n-- {
		d *= 2
	}
	d = min(d, l.cfg.MaxBackoff)
	return d - rand.N(d/2+1)
}

// stored ends a batch that the sink has accepted.
func (l *ledger[K, P, C]) stored(b *batch[K, P, C], now time.Duration) {
	l.counts.Flushes++
	l.counts.Deltas += uint64(len(b.deltas))
	l.refusals = 0
	l.outbox.succeeded(now)
	l.welcome()
	if l.journal != nil {
		l.journal.settled(b, nil)
	}
	crowded := l.family.Len() > l.cfg.MaxKeys/4*3 || l.cfg.MaxBytes > 0 && l.bytes.Load() > l.cfg.MaxBytes/4*3
	var done []*tally[K, P, C]
	for _, t := range b.tallies {
		t.tries, t.level = 0, 0
		l.land(t, nil)
		if crowded && l.forget(t) {
			done = append(done, t)
		}
	}
	if len(done) > 0 {
		go l.remove(done)
	}
	l.pump()
}

// welcome has what was refused tried at once: the sink is there again.
func (l *ledger[K, P, C]) welcome() {
	for _, t := range l.outbox.refused {
		t.refused = false
		if t.where == scheduled && t.flight == nil {
			l.unschedule(t)
			l.enqueue(t)
		}
	}
	l.outbox.refused = nil
}

// remove makes room for new keys: it takes out those whose cells have been closed.
func (l *ledger[K, P, C]) remove(list []*tally[K, P, C]) {
	for _, t := range list {
		l.family.Remove(t.entry)
	}
}

// land ends a tally's flight.
func (l *ledger[K, P, C]) land(t *tally[K, P, C], err error) {
	t.flight = nil
	t.flying.settle(err)
	t.flying = nil
	if t.late {
		t.late = false
		l.enqueue(t)
	}
}

// manyRefusals in a row, of flushes that may be large or small, say that it is the sink that refuses and not a key.
const manyRefusals = 16

// refused has the deltas of a batch that was certainly not stored counted on. They come again when they are due, with what was
// counted since, in batches that get smaller if it may be one of them that is refused.
func (l *ledger[K, P, C]) refused(b *batch[K, P, C], due time.Duration) {
	l.refusals++
	l.absorb()
	var more []byte // records
	for _, t := range b.tallies {
		first, exact := l.form.restore(t, b.deltas[t.first:t.first+t.count])
		if !exact {
			l.overflowed(t)
		}
		if l.journal != nil {
			more = l.journal.note(more, t.note)
		}
		t.flight, t.late = nil, false
		t.asked, t.flying = t.asked.with(t.flying), nil
		t.tries = uint16(min(int(t.tries)+b.attempts, math.MaxUint16))
		alone := t.tries > 1 && t.mark != l.outbox.stored
		if alone || t.tries > 1 && l.refusals <= manyRefusals {
			t.level = min(t.level+1, levels-1)
		}
		if !alone && !t.refused {
			t.refused = true
			l.outbox.refused = append(l.outbox.refused, t)
		}
		t.mark = l.outbox.stored
		if t.linked = t.linked || first; !t.linked {
			continue // it is being armed right now, and will be on the stack
		}
		t.since.Store(int64(b.oldest))
		switch t.where {
		case scheduled:
			l.unschedule(t)
			fallthrough
		case nowhere:
			t.link.Due = due
			l.schedule(t)
		}
	}
	if l.journal != nil {
		l.journal.settled(b, more)
	}
	l.wind()
}

// drop gives up a batch, which is given to Config.Dropped.
func (l *ledger[K, P, C]) drop(b *batch[K, P, C], reason error) {
	l.handOver(b, reason)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Dropped += uint64(len(b.deltas))
	if l.journal != nil {
		l.journal.settled(b, nil)
	}
	for _, t := range b.tallies {
		t.tries, t.level = 0, 0
		l.land(t, reason)
	}
	l.pump()
}

// handOver gives the user what will not be stored.
func (l *ledger[K, P, C]) handOver(b *batch[K, P, C], reason error) {
	l.metrics.dropped(len(b.deltas))
	if l.cfg.Dropped == nil {
		return
	}
	defer func() {
		if reason := recover(); reason != nil {
			l.logger.Error("Config.Dropped panicked", "panic", reason, "stack", string(debug.Stack()))
		}
	}()
	l.cfg.Dropped(Flush[P]{ID: b.id, Deltas: b.deltas}, reason)
}
