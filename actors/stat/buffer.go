package stat

import (
	"context"
	"fmt"

	"github.com/penstock-go/penstock"
)

// Buffer sums increments by key, and gives the sums to its sink. It is safe for concurrent use.
type Buffer[K comparable] struct{ ledger *ledger[K, K, sum] }

// NewBuffer starts a buffer. Its name, 1 to 512 bytes of UTF-8, is unique among the system's buffers of any type. Equal keys of
// two buffers are two keys. The error is [penstock.ErrInvalid], and names every bad field and the values it takes, or
// [penstock.ErrClosed]; then nothing has been started.
func NewBuffer[K comparable](sys *penstock.System, name string, cfg Config[K]) (*Buffer[K], error) {
	l, err := newLedger(sys, name, form[K, K, sum]{
		kind: KindSum,
		open: func(t *tally[K, K, sum]) { t.cell.n.Store(idle) },
		take: func(t *tally[K, K, sum], then emptied, into []Delta[K]) ([]Delta[K], bool) {
			n, exact := partsOf(t).take(then)
			if n == 0 { // it came to nothing, and storing that would change nothing
				return into, exact
			}
			return append(into, Delta[K]{Key: t.entry.Key(), N: n}), exact
		},
		restore: func(t *tally[K, K, sum], list []Delta[K]) (first, exact bool) {
			answer, first := t.cell.add(list[0].N)
			return first, answer == counted
		},
		shut:    func(t *tally[K, K, sum]) bool { return partsOf(t).shut() },
		isShut:  func(t *tally[K, K, sum]) bool { return t.cell.isShut() },
		isArmed: func(t *tally[K, K, sum]) bool { return t.cell.isArmed() },
		key:     func(key K) K { return key },
		known:   func(key K) K { return key },
		count: func(t *tally[K, K, sum]) (n int64, ok bool) {
			n = partsOf(t).load()
			if t.flight != nil {
				n, _ = plus(n, t.flight.deltas[t.first].N)
			}
			return n, t.flight != nil || t.cell.isArmed()
		},
		unrecorded: func(t *tally[K, K, sum], was *recorded) (more int64, ok bool) {
			n := partsOf(t).load()
			more, _ = plus(n, -was.n)
			*was = recorded{n: n, has: n != 0}
			return more, more != 0
		},
	}, cfg)
	if err != nil {
		return nil, err
	}
	return &Buffer[K]{l}, nil
}

// Increment adds n to the key's count. It never waits: a key that is counted costs an addition, and a new one is made at once,
// while its actor starts in the background. It is one of the key's first increments, since it was flushed, that has the key
// flushed an interval later.
//
// Errors: [penstock.ErrInvalid] for a string key that is empty, over 512 bytes or not UTF-8, or one that is not equal to
// itself; [penstock.ErrFull] when there are as many keys as may be; [penstock.ErrClosed]; then nothing was counted. [ErrOverflow]
// when the count reached an end of int64, which is -MaxInt64 + 1 or MaxInt64: what was beyond it is lost.
func (b *Buffer[K]) Increment(key K, n int64) error {
	for {
		t, err := b.ledger.tally(key)
		if err != nil {
			return err
		}
		answer, first := t.cell.add(n)
		if answer == closed {
			b.ledger.renew(t)
			continue
		}
		b.ledger.added(t, first)
		if answer == saturated {
			return b.overflow(key)
		}
		return nil
	}
}

func (b *Buffer[K]) overflow(key K) error {
	return fmt.Errorf("stat buffer %q: %w: key %v", b.ledger.name, ErrOverflow, key)
}

// Count is what was counted for the key and is not known to be stored. ok is false if there is nothing of that kind; a count
// that came to 0 is one until it is flushed.
func (b *Buffer[K]) Count(key K) (n int64, ok bool) { return b.ledger.count(key) }

// CountCluster is [Buffer.Count] of all nodes together, each asked at once. A [PartialError] says which of them have not answered, and n
// is what the others know. Other errors: [penstock.ErrInvalid] if the buffer is not Clustered, or for a key that encoding/json does not
// read again as it was.
func (b *Buffer[K]) CountCluster(ctx context.Context, key K) (n int64, ok bool, err error) {
	return b.ledger.countAll(ctx, key, func(x, y int64) int64 {
		n, _ := plus(x, y)
		return n
	})
}

// Flush has the key's count flushed now, and waits until what was counted before the call is stored. When ctx ends before
// that, the error is its, with the sink's last failure, and the flush goes on. [ErrDropped] says that it was given up.
func (b *Buffer[K]) Flush(ctx context.Context, key K) error { return b.ledger.flushKey(ctx, key) }

// FlushAsync has the key's count flushed now, and does not wait. The error is [penstock.ErrClosed].
func (b *Buffer[K]) FlushAsync(key K) error { return b.ledger.flushSoon(key) }

// FlushAll is Flush for every key.
func (b *Buffer[K]) FlushAll(ctx context.Context) error { return b.ledger.flushAll(ctx) }

// Close takes nothing more in, flushes every key, and ends when all is stored or ctx ends: then the error is a
// [NotStoredError], and what was not stored was given to Config.Dropped. The system's Close does that too.
func (b *Buffer[K]) Close(ctx context.Context) error { return b.ledger.family.Close(ctx) }

// Info tells the state of things. It looks at every key.
func (b *Buffer[K]) Info() Info { return b.ledger.Info() }
