package stat

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/penstock-go/penstock"
)

// Bin is a part of a histogram's scale for one key: the values From to To, both included. The bins of two flushes, or of two
// nodes, are the same, so their counts can be added up, and a histogram's sink is one of sums whose keys are bins.
type Bin[K comparable] struct {
	Key      K
	From, To int64
}

// Scale says which values a histogram tells apart, after HdrHistogram. Values outside of it count as its first or last one.
type Scale struct {
	// Lowest is the smallest value that is told from 0. Default 1
	Lowest int64
	// Highest is the largest value, at least 2 × Lowest. Default 3,600,000,000: an hour in microseconds
	Highest int64
	// Digits is how many decimal digits of a value are kept, 1 to 5: with 2 a bin is at most 1 % wide. A key of which something
	// is recorded takes 24 KiB with the defaults, about ten times as much for each digit more. Default 2
	Digits int
}

func (s Scale) withDefaults() Scale {
	s.Lowest = cmp.Or(s.Lowest, 1)
	s.Highest = cmp.Or(s.Highest, 3_600_000_000)
	s.Digits = cmp.Or(s.Digits, 2)
	return s
}

func (s Scale) validate(check func(ok bool, format string, args ...any)) {
	check(s.Lowest >= 1, "Scale.Lowest is %d; it takes 1 or more", s.Lowest)
	check(s.Highest/2 >= s.Lowest, "Scale.Highest is %d; it takes 2 × Lowest (%d) or more", s.Highest, s.Lowest)
	check(s.Digits >= 1 && s.Digits <= 5, "Scale.Digits is %d; it takes 1 to 5", s.Digits)
}

const kindHistogram Kind = "histogram"

// Histogram counts how often each value was seen, by key, and gives the counts to its sink, by bin. It is safe for concurrent
// use.
type Histogram[K comparable] struct {
	ledger *ledger[K, Bin[K], bins]
	scale  Scale
	spare  *sync.Pool // of empty histograms
}

// NewHistogram starts a buffer of histograms. What is said of [NewBuffer] holds for it; of cfg.Overflow only the Key counts. A
// flush has a delta for each bin that is not empty, all of a key's in the same flush, which may have more than MaxBatch for that.
func NewHistogram[K comparable](sys *penstock.System, name string, scale Scale, cfg Config[Bin[K]]) (*Histogram[K], error) {
	scale = scale.withDefaults()
	err := validate(func(check func(ok bool, format string, args ...any)) {
		scale.validate(check)
		cfg.validate(check)
		_, one := cfg.Sink.(FlushFunc[Bin[K]])
		check(!one, "Sink is a FlushFunc, which stores one delta at a time; it takes a sink that stores a flush as a whole")
	})
	if err != nil {
		return nil, fmt.Errorf("%w stat buffer %q: %w", penstock.ErrInvalid, name, err)
	}
	spare := &sync.Pool{New: func() any { return hdrhistogram.New(scale.Lowest, scale.Highest, scale.Digits) }}
	l, err := newLedger(sys, name, form[K, Bin[K], bins]{
		kind: kindHistogram,
		size: int64(hdrhistogram.New(scale.Lowest, scale.Highest, scale.Digits).ByteSize()),
		take: func(t *tally[K, Bin[K], bins], then emptied, into []Delta[Bin[K]]) ([]Delta[Bin[K]], bool) {
			h := t.cell.take(then)
			if h == nil {
				return into, true
			}
			for _, bar := range h.Distribution() {
				if bar.Count > 0 {
					into = append(into, Delta[Bin[K]]{Key: Bin[K]{Key: t.entry.Key(), From: bar.From, To: bar.To}, N: bar.Count})
				}
			}
			h.Reset()
			spare.Put(h)
			return into, true
		},
		restore: func(t *tally[K, Bin[K], bins], list []Delta[Bin[K]]) (first, exact bool) {
			for i, d := range list {
				_, idle := t.cell.record(spare, d.Key.From, d.N)
				first = first || i == 0 && idle
			}
			return first, true
		},
		shut:    func(t *tally[K, Bin[K], bins]) bool { return t.cell.shut() },
		isShut:  func(t *tally[K, Bin[K], bins]) bool { return t.cell.isShut() },
		isArmed: func(t *tally[K, Bin[K], bins]) bool { return t.cell.isArmed() },
		count: func(t *tally[K, Bin[K], bins]) (n int64, ok bool) {
			n = t.cell.count()
			if t.flight != nil {
				for _, d := range t.flight.deltas[t.first : t.first+t.count] {
					n += d.N
				}
			}
			return n, n > 0
		},
		key: func(b Bin[K]) K { return b.Key },
	}, cfg)
	if err != nil {
		return nil, err
	}
	return &Histogram[K]{ledger: l, scale: scale, spare: spare}, nil
}

// Record counts a value. It waits for nothing but others that record a value of the same key. Its errors are those of
// [Buffer.Increment], but for ErrOverflow, and [penstock.ErrInvalid] for a value below 0.
func (h *Histogram[K]) Record(key K, v int64) error {
	if v < 0 {
		return fmt.Errorf("%w value in stat buffer %q: it is %d; it takes 0 or more", penstock.ErrInvalid, h.ledger.name, v)
	}
	for {
		t, err := h.ledger.tally(key)
		if err != nil {
			return err
		}
		answer, first := t.cell.record(h.spare, min(v, h.scale.Highest), 1)
		if answer == counted {
			h.ledger.added(t, first)
			return nil
		}
		h.ledger.renew(t)
	}
}

// Count is how many values of the key were recorded that are not known to be stored; ok is false if there are none.
func (h *Histogram[K]) Count(key K) (n int64, ok bool) { return h.ledger.count(key) }

// CountCluster is [Histogram.Count] of all nodes together: see [Buffer.CountCluster].
func (h *Histogram[K]) CountCluster(ctx context.Context, key K) (n int64, ok bool, err error) {
	return h.ledger.countAll(ctx, key, func(x, y int64) int64 { return x + y })
}

// Flush has the key's counts flushed now, and waits until they are stored: see [Buffer.Flush].
func (h *Histogram[K]) Flush(ctx context.Context, key K) error { return h.ledger.flushKey(ctx, key) }

// FlushAsync has the key's counts flushed now, and does not wait. The error is [penstock.ErrClosed].
func (h *Histogram[K]) FlushAsync(key K) error { return h.ledger.flushSoon(key) }

// FlushAll is Flush for every key.
func (h *Histogram[K]) FlushAll(ctx context.Context) error { return h.ledger.flushAll(ctx) }

// Close takes nothing more in and flushes every key: see [Buffer.Close].
func (h *Histogram[K]) Close(ctx context.Context) error { return h.ledger.family.Close(ctx) }

// Info tells the state of things. It looks at every key.
func (h *Histogram[K]) Info() Info { return h.ledger.Info() }

// bins is a key's cell in a Histogram.
type bins struct {
	latch
	h *hdrhistogram.Histogram // nil while nothing is recorded
}

// record counts a value n times; values are within the scale. first: the caller is the one who arms the key.
func (b *bins) record(spare *sync.Pool, v, n int64) (a answer, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a, first = b.enter(); a == closed {
		return a, first
	}
	if b.h == nil {
		b.h = spare.Get().(*hdrhistogram.Histogram)
	}
	_ = b.h.RecordValues(v, n) // its only error is a value beyond the scale
	return a, first
}

func (b *bins) count() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.h == nil {
		return 0
	}
	return b.h.TotalCount()
}

// take empties the cell. nil: there was nothing.
func (b *bins) take(then emptied) *hdrhistogram.Histogram {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.h
	b.h = nil
	b.leave(then)
	return h
}
