package stat

import (
	"errors"
	"fmt"

	"github.com/penstock-go/penstock"
)

// openJournal opens the journal of the configuration, if it has one, and reads it.
func (l *ledger[K, P, C]) openJournal() (*past, error) {
	cfg := l.cfg.Journal
	if cfg.Path == "" {
		return nil, nil
	}
	p := newPast(l.form.replaces)
	file, err := openJournal(cfg.Path, cfg.LockTimeout, l.form.kind, l.name, p)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	l.journal = newJournal(l, cfg, file)
	return p, nil
}

// recover takes over what an earlier buffer has left in the journal: flushes under their own IDs, and counts.
func (l *ledger[K, P, C]) recover(p *past) error {
	if p == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, f := range p.flushes {
		b := &batch[K, P, C]{id: id, oldest: l.clock.Elapsed()}
		for i, name := range f.keys {
			t, key, err := l.remembered(name)
			if err != nil {
				return err
			}
			if t.flight != nil {
				return fmt.Errorf("the journal is damaged: key %q is in two flushes", name)
			}
			t.flight, t.first, t.count = b, int32(i), 1
			b.tallies = append(b.tallies, t)
			b.deltas = append(b.deltas, Delta[P]{Key: key, N: f.ns[i]})
		}
		l.journal.flushes[b] = true
		l.outbox.add(b)
	}
	for name, n := range p.counts {
		t, key, err := l.remembered(name)
		if err != nil {
			return err
		}
		first, _ := l.form.restore(t, []Delta[P]{{Key: key, N: n}})
		t.note.recorded = recorded{n: n, has: true}
		l.added(t, first)
	}
	if len(p.counts)+len(p.flushes) > 0 {
		l.logger.Info("a stat buffer's journal holds what was not stored", "keys", l.family.Len(), "flushes", len(p.flushes))
	}
	return nil
}

// remembered is the tally of a key in the file.
func (l *ledger[K, P, C]) remembered(name string) (*tally[K, P, C], P, error) {
	key, err := l.cfg.Journal.Decode([]byte(name))
	if err != nil {
		return nil, key, fmt.Errorf("a key of the journal cannot be read: %q: %w", name, err)
	}
	e, err := l.family.Get(l.form.key(key))
	if errors.Is(err, penstock.ErrFull) {
		err = fmt.Errorf("the journal holds more keys than MaxKeys (%d) allows: %w", l.cfg.MaxKeys, err)
	}
	if err != nil {
		return nil, key, err
	}
	return &e.Value, key, nil
}
