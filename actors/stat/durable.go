package stat

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock"
)

// IncrementDurable adds n to the key's count, and returns when that is in the journal, on disk: then it is stored, once,
// whatever happens to the process. It shares its sync of the disk with others that come at the same time.
//
// Errors are those of Increment, and ctx's when it ends before the write has begun; and those of writing the journal. After each
// of them nothing was counted; but a write that failed may have come through to the disk, which matters only if the process dies
// before the next one works. A buffer without a journal answers [penstock.ErrInvalid].
func (b *Buffer[K]) IncrementDurable(ctx context.Context, key K, n int64) error {
	l := b.ledger
	j := l.journal
	if j == nil {
		return fmt.Errorf("%w call of IncrementDurable: stat buffer %q has no journal; Config.Journal takes one", penstock.ErrInvalid, l.name)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &durableWrite{reply: make(chan error, 1)}
	if err := b.enter(w, key, n); err != nil {
		return err
	}
	select {
	case err := <-w.reply:
		return err
	case <-ctx.Done():
	}
	l.mu.Lock()
	if j.withdraw(w) {
		w.done(ctx.Err())
	}
	l.mu.Unlock()
	return <-w.reply
}

// durableWrite is an IncrementDurable that is on its way.
type durableWrite struct {
	reply chan error
	done  func(err error) bool
}

// enter has the increment written, and counted after that.
func (b *Buffer[K]) enter(w *durableWrite, key K, n int64) error {
	l := b.ledger
	for {
		t, err := l.tally(key)
		if err != nil {
			return err
		}
		if entered, err := b.enterAt(t, w, key, n); entered || err != nil {
			return err
		}
		l.renew(t)
	}
}

// enterAt reports whether the increment is on its way; it is not if the tally's cell is closed.
func (b *Buffer[K]) enterAt(t *tally[K, K, sum], w *durableWrite, key K, n int64) (entered bool, err error) {
	l := b.ledger
	j := l.journal
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closing:
		return false, fmt.Errorf("stat buffer %q: %w", l.name, penstock.ErrClosed)
	case t.cell.isShut():
		return false, nil
	}
	t.note.pins++ // its cell stays open until the increment is in it
	j.durable++
	w.done = func(err error) bool {
		t.note.pins--
		j.durable--
		if err == nil {
			err = b.countDurable(t, key, n)
		} else {
			err = fmt.Errorf("stat buffer %q: nothing was counted: %w", l.name, err)
		}
		j.checkCalm()
		w.reply <- err
		return false
	}
	j.entries = append(j.entries, journalEntry{data: appendCount(nil, t.note.name, n), durable: w, done: w.done})
	j.start()
	return true, nil
}

// countDurable counts what the journal has. A cell that closed meanwhile is left alone: the buffer's time is up, and the next
// one on the journal will find it there.
func (b *Buffer[K]) countDurable(t *tally[K, K, sum], key K, n int64) error {
	answer, first := t.cell.add(n)
	if answer == closed {
		return nil
	}
	t.note.n, _ = plus(t.note.n, n)
	t.note.has = t.note.n != 0
	b.ledger.added(t, first)
	if answer == saturated {
		return b.overflow(key)
	}
	return nil
}

// withdraw takes back an increment that is not being written yet. The mutex is held.
func (j *journal[K, P, C]) withdraw(w *durableWrite) bool {
	for i := range j.entries {
		if j.entries[i].durable == w {
			j.entries = append(j.entries[:i:i], j.entries[i+1:]...)
			return true
		}
	}
	return false
}

// checkCalm ends the wait for IncrementDurable calls of a buffer that closes.
func (j *journal[K, P, C]) checkCalm() {
	if j.ledger.closing && j.durable == 0 {
		select {
		case <-j.calm:
		default:
			close(j.calm)
		}
	}
}
