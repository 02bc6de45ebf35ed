package main

import (
	"slices"
	"sync"
	"time"
)

// outcome is the judge's, of one arrival.
type outcome uint8

const (
	served outcome = iota + 1
	refused
	late // on the way from the caller, which was stopped after it had its permit, or the machine is too busy
)

// law is what the API allows each ID.
type law struct {
	events int
	per    time.Duration
	slack  time.Duration // how long the way to the API may take
}

// record is what the API remembers. Times are durations of one clock, in order. It shares no code with what it judges.
type record struct {
	law
	mu  sync.Mutex
	ids map[string]*history
}

type history struct {
	served  []time.Duration
	refused []time.Duration
	late    []time.Duration
}

func newRecord(l law, ids ...string) *record {
	r := &record{law: l, ids: make(map[string]*history)}
	for _, id := range ids {
		r.ids[id] = new(history)
	}
	return r
}

// arrive judges a request that arrives now, and began its way at sent.
func (r *record) arrive(id string, sent time.Duration, now func() time.Duration) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now() // under the lock, so that times are in order
	h := r.ids[id]
	if h == nil {
		h = new(history)
		r.ids[id] = h
	}
	if at-sent > r.slack {
		h.late = append(h.late, at)
		return late
	}
	if n := len(h.served) - r.events; n >= 0 && at-h.served[n] < r.per {
		h.refused = append(h.refused, at)
		return refused
	}
	h.served = append(h.served, at)
	return served
}

// count is how many arrivals there were in [from, to), by outcome.
func (r *record) count(from, to time.Duration) (servedN, refusedN, lateN int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.ids {
		servedN += within(h.served, from, to)
		refusedN += within(h.refused, from, to)
		lateN += within(h.late, from, to)
	}
	return servedN, refusedN, lateN
}

func within(times []time.Duration, from, to time.Duration) int {
	i, _ := slices.BinarySearch(times, from)
	j, _ := slices.BinarySearch(times, to)
	return j - i
}

// gap is the longest time in [from, to) in which an ID was not served, and which ID's it is.
func (r *record) gap(from, to time.Duration) (id string, longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, h := range r.ids {
		last := from
		i, _ := slices.BinarySearch(h.served, from)
		for _, at := range append(slices.Clone(h.served[i:]), to) {
			at = min(at, to)
			if at-last > longest || at-last == longest && name < id {
				id, longest = name, at-last
			}
			last = at
		}
	}
	return id, longest
}

// servedSince reports whether each ID was served after a moment.
func (r *record) servedSince(t time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.ids {
		if len(h.served) == 0 || h.served[len(h.served)-1] <= t {
			return false
		}
	}
	return true
}
