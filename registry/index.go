package registry

import (
	"iter"
	"sync"
	"sync/atomic"
)

// index is one part of a directory: a hash table of entries, read without a lock and written under one.
//
// It is our own because a look-up is on the way of every call by ID, and with many IDs its cost is the memory it touches:
// a slot leads to the entry itself, which has the key, so there is nothing in between. Slots are probed one after the
// other; one that was used stays used until the table is built anew, so that a reader never stops too early.
type index[K comparable, V any] struct {
	table atomic.Pointer[[]slot[K, V]] // a power of two long; nil while nothing was ever added
	mu    sync.Mutex                   // held while the table is changed
	used  int                          // slots that are or were in use; guarded by mu
	live  int                          // slots that are in use; guarded by mu
}

// slot is a place for an entry. Its hash is 0 until it is used, and stays when the entry is taken out.
type slot[K comparable, V any] struct {
	hash  atomic.Uint64
	entry atomic.Pointer[Entry[K, V]]
}

// smallest is the length of an index's first table.
const smallest = 8

// find returns the slot of key, whose hash is given and not 0; nil if it has none.
func (x *index[K, V]) find(key K, hash uint64) *Entry[K, V] {
	table := x.table.Load()
	if table == nil {
		return nil
	}
	slots := *table
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch slots[i].hash.Load() {
		case 0:
			return nil
		case hash:
			if e := slots[i].entry.Load(); e != nil && e.key == key {
				return e
			}
		}
	}
}

// add puts in an entry whose key is not in. The caller holds mu.
func (x *index[K, V]) add(e *Entry[K, V], hash uint64) {
	table := x.table.Load()
	if table == nil || (x.used+1)*6 > len(*table)*5 {
		table = x.rebuild()
	}
	put(*table, e, hash)
	x.used++
	x.live++
}

// put takes the first slot that was never used. Readers that see the hash see the entry too.
func put[K comparable, V any](slots []slot[K, V], e *Entry[K, V], hash uint64) {
	mask := uint64(len(slots) - 1)
	i := hash & mask
	for slots[i].hash.Load() != 0 {
		i = (i + 1) & mask
	}
	slots[i].entry.Store(e)
	slots[i].hash.Store(hash)
}

// remove takes the entry out if it is in. The caller holds mu.
func (x *index[K, V]) remove(e *Entry[K, V], hash uint64) bool {
	table := x.table.Load()
	if table == nil {
		return false
	}
	slots := *table
	mask := uint64(len(slots) - 1)
	for i := hash & mask; slots[i].hash.Load() != 0; i = (i + 1) & mask {
		if slots[i].entry.CompareAndSwap(e, nil) {
			x.live--
			if len(slots) > smallest && x.live*8 < len(slots) {
				x.rebuild()
			}
			return true
		}
	}
	return false
}

// rebuild makes a table that what is live fills to at most a half, and drops what was taken out. Readers of the old one
// find what was there when they began. A table is filled to five sixths: a denser one is more often in the cache, and the
// hashes in its slots make probing cheap.
func (x *index[K, V]) rebuild() *[]slot[K, V] {
	size := smallest
	for size < (x.live+1)*2 {
		size *= 2
	}
	slots := make([]slot[K, V], size)
	if old := x.table.Load(); old != nil {
		for i := range *old {
			if e := (*old)[i].entry.Load(); e != nil {
				put(slots, e, (*old)[i].hash.Load())
			}
		}
	}
	x.used = x.live
	x.table.Store(&slots)
	return &slots
}

// all walks over the entries of the table there is at its beginning.
func (x *index[K, V]) all() iter.Seq[*Entry[K, V]] {
	return func(yield func(*Entry[K, V]) bool) {
		table := x.table.Load()
		if table == nil {
			return
		}
		for i := range *table {
			if e := (*table)[i].entry.Load(); e != nil && !yield(e) {
				return
			}
		}
	}
}
