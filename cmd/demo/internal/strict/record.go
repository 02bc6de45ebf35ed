package strict

import (
	"slices"
	"sync"
	"time"
)

// Rule is the API's law: at most Events admitted requests a key in any window of length Per, wherever it starts. A window
// holds its start and not its end, so a request exactly Per after another shares none with it.
type Rule struct {
	Events int
	Per    time.Duration
}

// Most is the largest number of requests that any one client could have had admitted in a run of length d: a full burst at
// its start and one at the end of every Per.
func (r Rule) Most(d time.Duration) int {
	if d < 0 {
		return 0
	}
	return r.Events * (int(d/r.Per) + 1)
}

// Record holds every arrival at the API and judges each by the rule.
type Record struct {
	rule Rule
	mu   struct {
		sync.Mutex
		keys map[string]*history
	}
}

// history is what one key sent: both lists in order of arrival.
type history struct {
	arrived  []time.Time // admitted or not
	admitted []time.Time
}

// NewRecord returns an empty record.
func NewRecord(rule Rule) *Record {
	r := &Record{rule: rule}
	r.mu.keys = make(map[string]*history)
	return r
}

// Arrive judges a request that arrives now. A refused one is told how long its key has to stay away.
func (r *Record) Arrive(key string) (wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.judge(key, time.Now()) // the clock is read under the lock, so that a key's times are in order
}

func (r *Record) judge(key string, now time.Time) (wait time.Duration, ok bool) {
	h := r.mu.keys[key]
	if h == nil {
		h = &history{}
		r.mu.keys[key] = h
	}
	h.arrived = append(h.arrived, now)
	if n := len(h.admitted) - r.rule.Events; n >= 0 {
		if wait = h.admitted[n].Add(r.rule.Per).Sub(now); wait > 0 {
			return wait, false
		}
	}
	h.admitted = append(h.admitted, now)
	return 0, true
}

// Totals are a record's figures at one moment.
type Totals struct {
	Served  int // admitted requests
	Refused int // requests answered with 429
	Busiest int // most arrivals, admitted or not, that one key had in any window of the rule's length
}

// Totals adds up all keys.
func (r *Record) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t Totals
	for _, h := range r.mu.keys {
		t.Served += len(h.admitted)
		t.Refused += len(h.arrived) - len(h.admitted)
		t.Busiest = max(t.Busiest, busiest(h.arrived, r.rule.Per))
	}
	return t
}

// ServedAfter is when a key was served first after a moment; zero if it was not.
func (r *Record) ServedAfter(key string, t time.Time) (at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.mu.keys[key]; h != nil {
		if i := slices.IndexFunc(h.admitted, func(at time.Time) bool { return at.After(t) }); i >= 0 {
			return h.admitted[i]
		}
	}
	return at
}

// busiest is the largest number of times that any window of length per holds. Some fullest window starts at one of them.
func busiest(times []time.Time, per time.Duration) int {
	most, end := 0, 0
	for start, first := range times {
		n := slices.IndexFunc(times[end:], func(t time.Time) bool { return t.Sub(first) >= per })
		if n < 0 {
			return max(most, len(times)-start)
		}
		end += n
		most = max(most, end-start)
	}
	return most
}
