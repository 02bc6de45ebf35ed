package registry

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"sync"
	"sync/atomic"
)

// index is one part of a directory: a hash table of entries, read without a lock and written under one.
//
// It is our own because a look-up is on the way of every call by ID, and with many IDs its cost is the memory it touches and the
// branches that a processor guesses wrong, which keep it from fetching what the next call needs. So a bucket is one cache line:
// seven tags, which are compared at once, and seven pointers to the entries themselves, which have the keys. Whoever looks
// goes from bucket to bucket until one was never full; a place that was used stays used until another entry takes it or the table
// is built anew, so that a reader never stops too early.
type index[K comparable, V any] struct {
	table atomic.Pointer[[]bucket[K, V]] // a power of two long; nil while nothing was ever added
	mu    sync.Mutex                     // held while the table is changed
	used  int                            // places that are or were in use; guarded by mu
	live  int                            // places that are in use; guarded by mu
}

// bucket has places for some entries. The tag of a place, a byte of tags, is 0 until it is used.
type bucket[K comparable, V any] struct {
	tags    atomic.Uint64
	entries [places]atomic.Pointer[Entry[K, V]]
}

const (
	places = 7
	ones   = 0x01010101010101 // the lowest bit of each tag
	marks  = ones << 7        // the highest: it is set if the place is or was in use
)

// tag is the part of a hash by which the entries of a bucket are told apart. A directory chooses the part by what is above it
// and an index the bucket by what is below.
func tag(hash uint64) uint64 { return hash>>50&0x7f | 0x80 }

// match has the highest bit of each tag that is the one asked for, and may have it of a tag above one that is.
func match(tags, asked uint64) uint64 {
	diff := tags ^ asked*ones
	return (diff - ones) &^ diff & marks
}

// find returns the entry of key, whose hash is given; nil if it has none.
func (x *index[K, V]) find(key K, hash uint64) *Entry[K, V] {
	table := x.table.Load()
	if table == nil {
		return nil
	}
	buckets, asked := *table, tag(hash)
	mask := uint64(len(buckets) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		b := &buckets[i]
		tags := b.tags.Load()
		for m := match(tags, asked); m != 0; m &= m - 1 {
			if e := b.entries[bits.TrailingZeros64(m)/8].Load(); e != nil && e.key == key {
				return e
			}
		}
		if tags&marks != marks {
			return nil
		}
	}
}

// add puts in an entry whose key is not in. The caller holds mu.
func (x *index[K, V]) add(e *Entry[K, V], seed maphash.Seed) {
	table := x.table.Load()
	if table == nil || (x.used+1)*6 > len(*table)*places*5 {
		table = x.rebuild(seed)
	}
	if put(*table, e, hashOf(seed, e.key)) {
		x.used++
	}
	x.live++
}

// put takes the first place that is not in use, and reports whether it was never used. Readers that see the tag see the entry
// too; those who see the tag of the one that was there find that it is another key.
func put[K comparable, V any](buckets []bucket[K, V], e *Entry[K, V], hash uint64) (fresh bool) {
	mask := uint64(len(buckets) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		b := &buckets[i]
		for p := range b.entries {
			if b.entries[p].Load() == nil {
				tags := b.tags.Load()
				b.entries[p].Store(e)
				b.tags.Store(tags&^(0xff<<(8*p)) | tag(hash)<<(8*p))
				return tags>>(8*p)&0xff == 0
			}
		}
	}
}

// remove takes the entry out if it is in. The caller holds mu.
func (x *index[K, V]) remove(e *Entry[K, V], seed maphash.Seed) bool {
	table := x.table.Load()
	if table == nil {
		return false
	}
	buckets, hash := *table, hashOf(seed, e.key)
	mask := uint64(len(buckets) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		b := &buckets[i]
		for p := range b.entries {
			if b.entries[p].CompareAndSwap(e, nil) {
				x.live--
				if len(buckets) > 1 && x.live*8 < len(buckets)*places {
					x.rebuild(seed)
				}
				return true
			}
		}
		if b.tags.Load()&marks != marks {
			return false
		}
	}
}

// rebuild makes a table that what is live fills to at most a half, and drops what was taken out. Readers of the old one
// find what was there when they began. A table is filled to five sixths: a denser one is more often in the cache, and few
// buckets are full before that.
func (x *index[K, V]) rebuild(seed maphash.Seed) *[]bucket[K, V] {
	size := 1
	for size*places < (x.live+1)*2 {
		size *= 2
	}
	buckets := make([]bucket[K, V], size)
	for e := range x.all() {
		put(buckets, e, hashOf(seed, e.key))
	}
	x.used = x.live
	x.table.Store(&buckets)
	return &buckets
}

// all walks over the entries of the table there is at its beginning.
func (x *index[K, V]) all() iter.Seq[*Entry[K, V]] {
	return func(yield func(*Entry[K, V]) bool) {
		table := x.table.Load()
		if table == nil {
			return
		}
		for i := range *table {
			for p := range (*table)[i].entries {
				if e := (*table)[i].entries[p].Load(); e != nil && !yield(e) {
					return
				}
			}
		}
	}
}
