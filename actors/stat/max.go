package stat

import (
	"context"

	"github.com/penstock-go/penstock"
)

// Max keeps the largest value by key, and gives it to its sink: of a key's values since its last flush. So the sink compares
// it with what is stored, as the sinks of package store do when they are told to. It is safe for concurrent use.
type Max[K comparable] struct{ values[K] }

// NewMax starts a buffer of largest values. What is said of [NewBuffer] holds for it.
func NewMax[K comparable](sys *penstock.System, name string, cfg Config[K]) (*Max[K], error) {
	l, err := newValues(sys, name, KindMax, larger, cfg)
	if err != nil {
		return nil, err
	}
	return &Max[K]{l}, nil
}

// Observe notes a value. It never waits. Its errors are those of [Buffer.Increment], but for ErrOverflow.
func (m *Max[K]) Observe(key K, n int64) error { return m.put(key, n, larger) }

// ValueCluster is the largest [Max.Value] of all nodes. Its errors are those of [Buffer.CountCluster].
func (m *Max[K]) ValueCluster(ctx context.Context, key K) (n int64, ok bool, err error) {
	return m.ledger.countAll(ctx, key, func(x, y int64) int64 { return max(x, y) })
}

// Last keeps the last value by key, such as the time when somebody was last seen, and gives it to its sink. It is safe for
// concurrent use.
type Last[K comparable] struct{ values[K] }

// NewLast starts a buffer of last values. What is said of [NewBuffer] holds for it.
func NewLast[K comparable](sys *penstock.System, name string, cfg Config[K]) (*Last[K], error) {
	l, err := newValues(sys, name, KindLast, never, cfg)
	if err != nil {
		return nil, err
	}
	return &Last[K]{l}, nil
}

// Set notes a value. It never waits. Of two calls at the same time either may be the last. Its errors are those of
// [Buffer.Increment], but for ErrOverflow.
func (l *Last[K]) Set(key K, n int64) error { return l.put(key, n, always) }

// values is what Max and Last have in common.
type values[K comparable] struct{ ledger *ledger[K, K, value] }

// newValues starts a buffer of values; over says whether one that was taken before takes the place of what is there.
func newValues[K comparable](sys *penstock.System, name string, kind Kind, over func(there, n int64) bool, cfg Config[K]) (values[K], error) {
	l, err := newLedger(sys, name, form[K, K, value]{
		kind: kind,
		take: func(t *tally[K, K, value], then emptied, into []Delta[K]) ([]Delta[K], bool) {
			if n, ok := t.cell.take(then); ok {
				into = append(into, Delta[K]{Key: t.entry.Key(), N: n})
			}
			return into, true
		},
		restore: func(t *tally[K, K, value], list []Delta[K]) (first, exact bool) {
			_, first = t.cell.put(list[0].N, over)
			return first, true
		},
		shut:    func(t *tally[K, K, value]) bool { return t.cell.shut() },
		isShut:  func(t *tally[K, K, value]) bool { return t.cell.isShut() },
		isArmed: func(t *tally[K, K, value]) bool { return t.cell.isArmed() },
		key:     func(key K) K { return key },
		known:   func(key K) K { return key },
		unrecorded: func(t *tally[K, K, value], was *recorded) (int64, bool) {
			n, ok := t.cell.load()
			*was = recorded{n: n, has: ok}
			return n, ok
		},
		count: func(t *tally[K, K, value]) (n int64, ok bool) {
			n, ok = t.cell.load()
			if !ok && t.flight != nil {
				return t.flight.deltas[t.first].N, true
			}
			return n, ok
		},
		replaces: func(there, n int64) bool { return kind == KindLast || n > there },
	}, cfg)
	return values[K]{l}, err
}

func (v values[K]) put(key K, n int64, over func(there, n int64) bool) error {
	for {
		t, err := v.ledger.tally(key)
		if err != nil {
			return err
		}
		answer, first := t.cell.put(n, over)
		if answer == counted {
			v.ledger.added(t, first)
			return nil
		}
		v.ledger.renew(t)
	}
}

// Value is what was noted for the key and is not known to be stored; ok is false if there is nothing of that kind. What is in
// a flush already counts only while nothing came after it.
func (v values[K]) Value(key K) (n int64, ok bool) { return v.ledger.count(key) }

// Flush has the key's value flushed now, and waits until it is stored: see [Buffer.Flush].
func (v values[K]) Flush(ctx context.Context, key K) error { return v.ledger.flushKey(ctx, key) }

// FlushAsync has the key's value flushed now, and does not wait. The error is [penstock.ErrClosed].
func (v values[K]) FlushAsync(key K) error { return v.ledger.flushSoon(key) }

// FlushAll is Flush for every key.
func (v values[K]) FlushAll(ctx context.Context) error { return v.ledger.flushAll(ctx) }

// Close takes nothing more in and flushes every key: see [Buffer.Close].
func (v values[K]) Close(ctx context.Context) error { return v.ledger.family.Close(ctx) }

// Info tells the state of things. It looks at every key.
func (v values[K]) Info() Info { return v.ledger.Info() }
