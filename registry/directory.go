package registry

import (
	"errors"
	"iter"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v4"
)

// ErrFull is returned when a directory holds as many entries as it may.
var ErrFull = errors.New("registry: directory is full")

// Directory finds the entry of an ID. It is safe for concurrent use; looking up takes no lock.
type Directory[K comparable, V any] struct {
	entries *xsync.Map[K, *Entry[K, V]]
	count   atomic.Int64
	bound   int64
}

// NewDirectory returns an empty directory that holds at most bound entries; 0 means no bound.
func NewDirectory[K comparable, V any](bound int) *Directory[K, V] {
	return &Directory[K, V]{entries: xsync.NewMap[K, *Entry[K, V]](), bound: int64(bound)}
}

// Lookup returns the entry of key, if there is one.
func (d *Directory[K, V]) Lookup(key K) (*Entry[K, V], bool) { return d.entries.Load(key) }

// LookupOrAdd returns the entry of key, and makes it if it is missing: then init prepares its Value before anybody
// else can see it. init must be short and must not use the directory; if it panics, the panic is the caller's and there
// is no entry. The error is [ErrFull].
func (d *Directory[K, V]) LookupOrAdd(key K, init func(*Entry[K, V])) (e *Entry[K, V], added bool, err error) {
	if e, ok := d.entries.Load(key); ok {
		return e, false, nil
	}
	return d.add(key, init)
}

func (d *Directory[K, V]) add(key K, init func(*Entry[K, V])) (_ *Entry[K, V], added bool, err error) {
	var panicked any
	e, _ := d.entries.LoadOrCompute(key, func() (e *Entry[K, V], cancel bool) {
		if !d.reserve() {
			err = ErrFull
			return nil, true
		}
		defer func() { // a panic that passed through the map would leave a part of it locked for ever
			if panicked = recover(); panicked != nil {
				d.count.Add(-1)
				e, cancel = nil, true
			}
		}()
		e = &Entry[K, V]{key: key}
		init(e)
		added = true
		return e, false
	})
	if panicked != nil {
		panic(panicked)
	}
	return e, added, err
}

// reserve counts one more entry in if the bound allows it. The count is raised before the entry can be found and
// lowered after it was taken out, so there are never more entries than it says.
func (d *Directory[K, V]) reserve() bool {
	for {
		n := d.count.Load()
		if d.bound > 0 && n >= d.bound {
			return false
		}
		if d.count.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Remove takes the entry out, if it is still the one that its key leads to, and reports whether it was.
func (d *Directory[K, V]) Remove(e *Entry[K, V]) bool {
	removed := false
	d.entries.Compute(e.key, func(current *Entry[K, V], loaded bool) (*Entry[K, V], xsync.ComputeOp) {
		if !loaded || current != e {
			return current, xsync.CancelOp
		}
		removed = true
		return nil, xsync.DeleteOp
	})
	if removed {
		d.count.Add(-1)
	}
	return removed
}

// Len is the number of entries.
func (d *Directory[K, V]) Len() int { return int(d.count.Load()) }

// All walks over the entries. Entries that come or go meanwhile may be missed or seen.
func (d *Directory[K, V]) All() iter.Seq[*Entry[K, V]] {
	return func(yield func(*Entry[K, V]) bool) {
		d.entries.Range(func(_ K, e *Entry[K, V]) bool { return yield(e) })
	}
}
