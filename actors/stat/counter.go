package stat

import "sync/atomic"

// Counter counts one key of a [Buffer] on as many words as there are processors, for a key that so many goroutines count at
// once that they would wait for one another's cache line. It is safe for concurrent use; keep it.
type Counter[K comparable] struct {
	buffer *Buffer[K]
	key    K
	at     atomic.Pointer[striped[K]]
}

// striped is where a counter counts: a key's tally and its stripes.
type striped[K comparable] struct {
	tally   *tally[K, K, sum]
	stripes *stripes
}

// Counter is a striped handle of the key, which costs memory while the buffer has the key: 128 bytes a processor. All
// counters of a key share their stripes, and Increment and Count work as before.
func (b *Buffer[K]) Counter(key K) *Counter[K] { return &Counter[K]{buffer: b, key: key} }

// Add counts n, as [Buffer.Increment] does.
func (c *Counter[K]) Add(n int64) error {
	if at := c.at.Load(); at != nil && at.stripes.add(n) == counted {
		c.buffer.ledger.added(at.tally, at.tally.cell.arm())
		return nil
	}
	return c.find(n)
}

// find is Add when there are no stripes yet, when they were closed, or when one of them is full.
func (c *Counter[K]) find(n int64) error {
	for {
		t, err := c.buffer.ledger.tally(c.key)
		if err != nil {
			return err
		}
		c.buffer.ledger.mu.Lock()
		s, open := partsOf(t).stripe()
		c.buffer.ledger.mu.Unlock()
		if !open {
			c.buffer.ledger.renew(t)
			continue
		}
		switch s.add(n) {
		case counted:
			c.at.Store(&striped[K]{t, s})
			c.buffer.ledger.added(t, t.cell.arm())
			return nil
		case saturated: // the sum's own word takes it, or says that it is too much
			return c.buffer.Increment(c.key, n)
		case closed:
			c.at.Store(nil)
			c.buffer.ledger.renew(t)
		}
	}
}
