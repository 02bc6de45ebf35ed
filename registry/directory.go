package registry

import (
	"errors"
	"hash/maphash"
	"iter"
	"reflect"
	"sync/atomic"
)

var (
	// ErrFull is returned when a directory holds as many entries as it may.
	ErrFull = errors.New("registry: directory is full")
	// ErrUnhashable is returned for a key that is not [Hashable].
	ErrUnhashable = errors.New("registry: the key holds what cannot be compared")
)

// Directory finds the entry of an ID. It is safe for concurrent use; looking up takes no lock.
type Directory[K comparable, V any] struct {
	seed  maphash.Seed
	parts [parts]index[K, V] // IDs are shared out by hash, so that adding and removing seldom wait for one another
	count atomic.Int64
	bound int64
	loose bool // not every key can be looked up
}

// parts is a power of two, and large enough for as many cores to add at once.
const parts = 64

// NewDirectory returns an empty directory that holds at most bound entries; 0 means no bound. V embeds a [Life]; the third type is
// inferred.
func NewDirectory[K comparable, V any, _ Living[V]](bound int) *Directory[K, V] {
	return &Directory[K, V]{seed: maphash.MakeSeed(), bound: int64(bound), loose: mayHoldAny(reflect.TypeFor[K]())}
}

// place is the part of a key, and its hash.
func (d *Directory[K, V]) place(key K) (*index[K, V], uint64) {
	hash := hashOf(d.seed, key)
	return &d.parts[hash>>58], hash
}

func hashOf[K comparable](seed maphash.Seed, key K) uint64 { return maphash.Comparable(seed, key) }

// Lookup returns the entry of key, if there is one.
func (d *Directory[K, V]) Lookup(key K) (*Entry[K, V], bool) {
	if d.loose && !Hashable(key) {
		return nil, false
	}
	part, hash := d.place(key)
	e := part.find(key, hash)
	return e, e != nil
}

// LookupOrAdd returns the entry of key, and makes it if it is missing: then init prepares its Value before anybody
// else can see it. init must be short and must not use the directory; if it panics, the panic is the caller's and there
// is no entry. The error is [ErrFull] or [ErrUnhashable].
func (d *Directory[K, V]) LookupOrAdd(key K, init func(*Entry[K, V])) (e *Entry[K, V], added bool, err error) {
	if d.loose && !Hashable(key) {
		return nil, false, ErrUnhashable
	}
	part, hash := d.place(key)
	if e := part.find(key, hash); e != nil {
		return e, false, nil
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	if e := part.find(key, hash); e != nil {
		return e, false, nil
	}
	if !d.reserve() {
		return nil, false, ErrFull
	}
	defer func() {
		if !added {
			d.count.Add(-1)
		}
	}()
	e = &Entry[K, V]{key: key}
	init(e)
	part.add(e, d.seed)
	added = true
	return e, true, nil
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
	part, _ := d.place(e.key)
	part.mu.Lock()
	defer part.mu.Unlock()
	if !part.remove(e, d.seed) {
		return false
	}
	d.count.Add(-1)
	return true
}

// Len is the number of entries.
func (d *Directory[K, V]) Len() int { return int(d.count.Load()) }

// All walks over the entries. Entries that come or go meanwhile may be missed or seen.
func (d *Directory[K, V]) All() iter.Seq[*Entry[K, V]] {
	return func(yield func(*Entry[K, V]) bool) {
		for i := range d.parts {
			for e := range d.parts[i].all() {
				if !yield(e) {
					return
				}
			}
		}
	}
}
