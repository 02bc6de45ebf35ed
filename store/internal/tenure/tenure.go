// Package tenure judges leases from outside: by when their members owned what, by a clock that the store knows nothing of.
package tenure

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Tenure is a time in which a member owned a shard, by a clock that all members share and the store knows nothing of: from when its Take
// had returned, until the end of the lease that it asked for last, counted from when it asked.
type Tenure struct {
	Shard       int
	Epoch       int64
	Owner       string
	From, Until time.Duration
}

func (t Tenure) String() string {
	return fmt.Sprintf("%s from %v to %v with epoch %d", t.Owner, t.From, t.Until, t.Epoch)
}

// Overlaps says which tenures were at the same time, or have epochs that did not grow.
func Overlaps(all []Tenure) error {
	slices.SortFunc(all, func(a, b Tenure) int { return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Epoch, b.Epoch)) })
	for i := 1; i < len(all); i++ {
		before, after := all[i-1], all[i]
		if before.Shard == after.Shard && (before.Epoch == after.Epoch || before.Until > after.From) {
			return fmt.Errorf("shard %d was owned by %v, and by %v", after.Shard, before, after)
		}
	}
	return nil
}

// Record is what members note of their tenures.
type Record struct {
	mu  sync.Mutex
	all []*Tenure
}

// Add notes one.
func (r *Record) Add(t Tenure) *Tenure {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, &t)
	return &t
}

// Until has tenures end at a time.
func (r *Record) Until(owned map[int]*Tenure, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range owned {
		t.Until = at
	}
}

// Len is how many were noted.
func (r *Record) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// List is what was noted.
func (r *Record) List() []Tenure {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Tenure, 0, len(r.all))
	for _, t := range r.all {
		list = append(list, *t)
	}
	return list
}
