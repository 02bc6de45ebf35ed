package stat

import "sync"

// value is a key's cell in a [Max] or a [Last]: every int64 is a value, so whether there is one is said apart.
type value struct {
	mu     sync.Mutex
	n      int64
	has    bool
	closed bool
}

// put notes a value; over says whether it takes the place of the one that is there.
func (v *value) put(n int64, over func(there, n int64) bool) answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return closed
	}
	if !v.has || over(v.n, n) {
		v.n, v.has = n, true
	}
	return counted
}

func larger(there, n int64) bool { return n > there }
func always(int64, int64) bool   { return true }
func never(int64, int64) bool    { return false }

func (v *value) load() (n int64, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n, v.has
}

// take empties the cell, and for good if it is the last time.
func (v *value) take(last bool) (n int64, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok = v.n, v.has
	v.n, v.has, v.closed = 0, false, last
	return n, ok
}

func (v *value) isShut() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

// shut closes the cell if it holds nothing.
func (v *value) shut() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = !v.has
	return v.closed
}
