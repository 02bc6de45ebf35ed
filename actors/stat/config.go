package stat

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says where a buffer's counts go, when, and how many there may be. Only Sink is required. K is what the sink knows a
// key as.
type Config[K comparable] struct {
	// Sink stores the counts: one of package store, your own, or a FlushFunc.
	Sink Sink[K]
	// Interval is how long after a key's first increment, since its last flush, the key is flushed; up to a 256th of Interval
	// and Jitter later. Default 5s
	Interval time.Duration
	// Jitter is added to Interval: a random time up to it, for each key each time. Default 0
	Jitter time.Duration
	// Backoff is how long after a failed attempt a flush is tried again: it doubles with each failure up to MaxBackoff, less a
	// random part of up to half. Default 1s
	Backoff time.Duration
	// MaxBackoff is default 30s, or Backoff if that is more
	MaxBackoff time.Duration
	// MaxAttempts is how often a flush is tried; what was not stored by then is given to Dropped. Default 0: until it works
	MaxAttempts int
	// FlushTimeout ends the context of an attempt. Default 30s
	FlushTimeout time.Duration
	// MaxBatch is how many deltas a flush has at most; a FlushFunc gets one at a time. Default 1,000
	MaxBatch int
	// MaxFlushes is how many flushes are with the sink at the same time. Default 4
	MaxFlushes int
	// Idle is how long a key that was stored is kept while nobody counts it. Default 10s
	Idle time.Duration
	// MaxKeys is how many keys there may be. One more is refused at once with penstock.ErrFull, or counted into Overflow. Keys
	// that were stored make room when three quarters are taken. Default 1,000,000
	MaxKeys int
	// MaxBytes bounds what all keys take together, each reckoned as 1 KiB, what a string key is long, and what a histogram's bins
	// take, 26 KiB with the default Scale. It is a bound like MaxKeys. Default 0: MaxKeys alone is one
	MaxBytes int64
	// Overflow is the key into which keys beyond the bounds are counted. Default nil: they are refused
	Overflow *K
	// Dropped is given what will not be stored: flushes after MaxAttempts, and those that were left when Close's time was up. It
	// must not call the buffer. Default nil: they are counted and logged, and lost
	Dropped func(Flush[K], error)
	// Clustered lets the same buffers of a cluster's nodes be asked together: see [Buffer.CountCluster]. Each node flushes what was
	// counted there, to the same sink if that is to have the sum. The system must be a node, which listens. Default false
	Clustered bool
	// Journal keeps counts in a local file until they are stored. Histograms take none. Default: no journal
	Journal Journal[K]
}

const (
	maxSpan    = 366 * 24 * time.Hour
	maxKeys    = math.MaxInt32
	maxBatch   = 1_000_000
	maxFlushes = 1024
)

func (c Config[K]) withDefaults() Config[K] {
	c.Interval = cmp.Or(c.Interval, 5*time.Second)
	c.Backoff = cmp.Or(c.Backoff, time.Second)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, max(30*time.Second, c.Backoff))
	c.FlushTimeout = cmp.Or(c.FlushTimeout, 30*time.Second)
	c.MaxBatch = cmp.Or(c.MaxBatch, 1000)
	c.MaxFlushes = cmp.Or(c.MaxFlushes, 4)
	c.Idle = cmp.Or(c.Idle, 10*time.Second)
	c.MaxKeys = cmp.Or(c.MaxKeys, 1_000_000)
	c.Journal = c.Journal.withDefaults()
	if _, one := c.Sink.(FlushFunc[K]); one {
		c.MaxBatch = 1
	}
	return c
}

// validate collects what checks find wrong.
func validate(all func(check func(ok bool, format string, args ...any))) error {
	var errs []error
	all(func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	})
	return errors.Join(errs...)
}

// validate names every bad field and the values it takes.
func (c Config[K]) validate(check func(ok bool, format string, args ...any)) {
	span := func(name string, d time.Duration, byDefault string) {
		check(d >= 0 && d <= maxSpan, "%s is %v; it takes 0 (%s) to %v", name, d, byDefault, maxSpan)
	}
	fn, isFunc := c.Sink.(FlushFunc[K])
	check(c.Sink != nil && !(isFunc && fn == nil), "Sink is nil; it takes what stores the counts")
	span("Interval", c.Interval, "5s")
	span("Jitter", c.Jitter, "none")
	span("Backoff", c.Backoff, "1s")
	span("MaxBackoff", c.MaxBackoff, "30s")
	check(c.MaxBackoff == 0 || c.MaxBackoff >= c.Backoff, "MaxBackoff is %v; it takes Backoff (%v) or more", c.MaxBackoff, c.Backoff)
	check(c.MaxAttempts >= 0, "MaxAttempts is %d; it takes 0 (until it works) or more", c.MaxAttempts)
	span("FlushTimeout", c.FlushTimeout, "30s")
	check(c.MaxBatch >= 0 && c.MaxBatch <= maxBatch, "MaxBatch is %d; it takes 1 to %d, or 0 for 1,000", c.MaxBatch, maxBatch)
	check(c.MaxFlushes >= 0 && c.MaxFlushes <= maxFlushes, "MaxFlushes is %d; it takes 1 to %d, or 0 for 4", c.MaxFlushes, maxFlushes)
	span("Idle", c.Idle, "10s")
	check(c.MaxKeys >= 0 && c.MaxKeys < maxKeys, "MaxKeys is %d; it takes 1 to %d, or 0 for 1,000,000", c.MaxKeys, maxKeys-1)
	check(c.MaxBytes >= 0, "MaxBytes is %d; it takes 0 (no bound of its own) or more", c.MaxBytes)
	c.Journal.validate(check)
}
