package limit

import (
	"sort"
	"time"
)

const (
	// maxEntries bounds a ring to 4 KiB. Limits of at most that many events
	// remember each take; larger ones remember the takes of a slot as one.
	maxEntries = 256
	// slots of a span, so that those begun in it and one begun before stay
	// below maxEntries. Merging delays the end of a take by 1/254 of the span at most.
	slots = 254
)

// rolling is exact over every window: it remembers what was taken when, until
// it leaves the window.
//
// A million of them live at once, and the time of a take is the time it takes
// to get them into the cache. So the newest entry is kept beside the sums, and
// the older ones are not touched while the window holds none.
type rolling struct {
	total  int64 // sum of the entries' costs
	forgot int64 // newest take that is no longer remembered, or past
	first  int64 // first take remembered in newest
	newest entry // cost 0: there is none, and no older one

	head, n uint16 // of the older entries: the place of the oldest, and how many
	gap     bool   // what was forgotten would count again, the span has grown: full until it leaves

	older *older // nil until there are any
}

// older is what a rolling needs only when its window holds more than one take.
type older struct {
	ring []entry // a power of two long
	born int64   // takes before this are not remembered
}

// entry is one take, or neighbouring ones: at is the latest of them.
type entry struct {
	at, cost int64
}

func newRolling(born int64) rolling {
	r := rolling{forgot: past}
	if born != past {
		r.older = &older{born: born}
	}
	return r
}

// len is how many entries there are.
func (r *rolling) len() int {
	if r.newest.cost == 0 {
		return 0
	}
	return int(r.n) + 1
}

// entry returns the i-th oldest.
func (r *rolling) entry(i int) *entry {
	if i == int(r.n) {
		return &r.newest
	}
	ring := r.older.ring
	return &ring[(int(r.head)+i)&(len(ring)-1)]
}

// advance forgets what has left the window and returns now, not earlier than
// what it has already taken or forgotten.
func (r *rolling) advance(sp *spec, now int64) int64 {
	left := r.forgot + sp.span // when the last forgotten take left
	switch {
	case now >= left:
		r.gap = false
	case r.gap:
		now = max(now, r.forgot)
	default:
		now = left
	}
	if r.newest.cost == 0 {
		return now
	}
	now = max(now, r.newest.at)
	for r.n > 0 {
		e := r.entry(0)
		if e.at+sp.span > now {
			return now
		}
		r.forget(e)
		r.head++
		r.n--
	}
	if r.newest.at+sp.span <= now {
		r.forget(&r.newest)
		r.newest.cost = 0
	}
	return now
}

func (r *rolling) forget(e *entry) {
	r.total -= e.cost
	r.forgot = e.at
}

// level is what counts, after advance.
func (r *rolling) level(sp *spec) int64 {
	if r.gap {
		return max(r.total, sp.capacity)
	}
	return r.total
}

// pass is fits and take in one, for the hottest of all paths.
func (r *rolling) pass(sp *spec, now, cost, ceiling int64) (remaining int, ok bool) {
	now = r.advance(sp, now)
	level := r.level(sp)
	if cost > 0 {
		level += cost
		if level > min(ceiling, sp.capacity) {
			return 0, false
		}
		r.add(sp, now, cost)
	}
	return int(max(sp.capacity-level, 0)), true
}

func (r *rolling) fits(sp *spec, now instant, cost, ceiling int64) bool {
	r.advance(sp, now.at)
	return r.level(sp)+cost <= ceiling
}

func (r *rolling) wait(sp *spec, now instant, cost, ceiling int64) time.Duration {
	r.advance(sp, now.at)
	if r.level(sp)+cost <= ceiling {
		return 0
	}
	var until int64 = past
	if r.gap {
		until = r.forgot + sp.span
	}
	excess := r.total + cost - ceiling
	for i := 0; excess > 0; i++ {
		e := r.entry(i)
		excess -= e.cost
		until = max(until, e.at+sp.span)
	}
	return time.Duration(until - now.at)
}

func (r *rolling) take(sp *spec, now instant, cost int64) int64 {
	r.add(sp, r.advance(sp, now.at), cost)
	return r.level(sp)
}

// add remembers a take at now, which advance returned.
func (r *rolling) add(sp *spec, now, cost int64) {
	r.total += cost
	if r.n == maxEntries-1 {
		r.merge(sp.slot)
	}
	if r.newest.cost > 0 {
		// To the later time: a take that counts too long exceeds nothing.
		if now == r.newest.at || now-r.first < sp.slot && r.merges(sp) || r.n == maxEntries-1 {
			r.newest.at = now
			r.newest.cost += cost
			return
		}
		r.push(r.newest)
	}
	r.newest = entry{at: now, cost: cost}
	r.first = now
}

// merges reports whether neighbouring takes become one: those of a large
// limit, and those of a small one that is deep in debt.
func (r *rolling) merges(sp *spec) bool {
	return !sp.exact || r.len() >= maxEntries/2 && r.total > sp.capacity
}

// push puts an entry into the ring, which doubles when it is full.
func (r *rolling) push(e entry) {
	if r.older == nil {
		r.older = &older{born: past}
	}
	o := r.older
	if int(r.n) == len(o.ring) {
		ring := make([]entry, max(1, 2*len(o.ring)))
		for i := range int(r.n) {
			ring[i] = *r.entry(i)
		}
		o.ring, r.head = ring, 0
	}
	o.ring[(int(r.head)+int(r.n))&(len(o.ring)-1)] = e
	r.n++
}

func (r *rolling) give(sp *spec, now, at instant, cost int64) {
	r.advance(sp, now.at)
	if at.at <= r.forgot || r.older != nil && at.at < r.older.born {
		return
	}
	i := sort.Search(r.len(), func(i int) bool { return r.entry(i).at >= at.at })
	for i < r.len() && cost > 0 {
		e := r.entry(i)
		if e.cost > cost {
			e.cost -= cost
			r.total -= cost
			return
		}
		r.total -= e.cost
		cost -= e.cost
		r.remove(sp, i)
	}
}

// remove closes the gap that entry i leaves.
func (r *rolling) remove(sp *spec, i int) {
	last := r.len() - 1
	for j := i; j < last; j++ {
		*r.entry(j) = *r.entry(j + 1)
	}
	if last == 0 {
		r.newest.cost = 0
		return
	}
	r.newest = *r.entry(last - 1)
	r.n--
	if i == last {
		// When its takes began is no longer known: let nothing join it.
		r.first = r.newest.at - sp.slot
	}
}

func (r *rolling) used(sp *spec, now instant) int64 {
	r.advance(sp, now.at)
	return r.level(sp)
}

func (r *rolling) fresh(sp *spec, now instant) bool {
	return r.advance(sp, now.at) == now.at && r.newest.cost == 0 && !r.gap
}

func (r *rolling) change(old, sp *spec, now instant) {
	t := now.at
	if !r.gap {
		t = max(t, r.forgot+old.span)
	}
	if r.newest.cost > 0 {
		t = max(t, r.newest.at)
	}
	r.gap = r.forgot+sp.span > t
	r.advance(sp, t)
}

// merge brings the entries of a full ring into slots: a limit that remembered
// each take is deep in debt, or has become a large one.
func (r *rolling) merge(slot int64) {
	kept := 0 // entries of the result; the latest of them began at first
	var first int64
	count := r.len()
	for i := range count {
		e := *r.entry(i)
		if kept > 0 && e.at-first < slot {
			last := r.entry(kept - 1)
			last.at = e.at
			last.cost += e.cost
			continue
		}
		*r.entry(kept) = e
		first = e.at
		kept++
	}
	if kept < count {
		r.first = min(first, r.first)
		r.newest = *r.entry(kept - 1)
		r.n = uint16(kept - 1)
	}
}
