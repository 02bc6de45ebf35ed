package stat

// value is a key's cell in a [Max] or a [Last]: every int64 is a value, so whether there is one is said apart.
type value struct {
	n int64
	latch
	has bool
}

// put notes a value; over says whether it takes the place of the one that is there. first: the caller is the one who arms the key.
func (v *value) put(n int64, over func(there, n int64) bool) (a answer, first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a, first = v.enter()
	if a == counted && (!v.has || over(v.n, n)) {
		v.n, v.has = n, true
	}
	return a, first
}

func larger(there, n int64) bool { return n > there }
func always(int64, int64) bool   { return true }
func never(int64, int64) bool    { return false }

func (v *value) load() (n int64, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n, v.has
}

// take empties the cell.
func (v *value) take(then emptied) (n int64, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok = v.n, v.has
	v.n, v.has = 0, false
	v.leave(then)
	return n, ok
}
