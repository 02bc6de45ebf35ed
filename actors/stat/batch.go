package stat

import (
	"container/heap"
	"time"
)

// batch is what goes to the sink in one flush. Once it is sealed its ID and deltas stay as they are until it is settled.
type batch[K, P comparable, C any] struct {
	id      string
	tallies []*tally[K, P, C]
	deltas  []Delta[P]
	oldest  time.Duration // when the oldest delta in it was first counted

	attempts int
	tried    int           // how often each of the deltas had been tried before, at least, in flushes that were refused
	err      error         // of the last attempt
	again    time.Duration // when it may be tried again
	stored   uint32        // how many batches had been stored when it failed last
	alone    bool          // it fails although others are stored: their success is no reason to try it earlier
	place    int           // in the heap of those that failed, from 1; 0: it is not there
}

// outbox holds sealed batches and says which is tried next. A batch that failed waits for its back-off and holds up no
// other.
type outbox[K, P comparable, C any] struct {
	fresh   []*batch[K, P, C] // in the order of their sealing
	failed  retries[K, P, C]
	running int
	stored  uint32            // batches
	refused []*tally[K, P, C] // those whose counts were refused since then, while it may have been the sink that was not there
}

func (o *outbox[K, P, C]) len() int { return len(o.fresh) + len(o.failed) + o.running }

func (o *outbox[K, P, C]) add(b *batch[K, P, C]) { o.fresh = append(o.fresh, b) }

// next takes out what is to be tried now: what failed and has waited, and then what is new. nil: nothing.
func (o *outbox[K, P, C]) next(now time.Duration) *batch[K, P, C] {
	switch {
	case len(o.failed) > 0 && o.failed[0].again <= now:
		return heap.Pop(&o.failed).(*batch[K, P, C])
	case len(o.fresh) > 0:
		b := o.fresh[0]
		o.fresh[0] = nil
		if o.fresh = o.fresh[1:]; len(o.fresh) == 0 {
			o.fresh = nil
		}
		return b
	}
	return nil
}

// again is when the next batch that failed may be tried; ok is false if there is none.
func (o *outbox[K, P, C]) again() (at time.Duration, ok bool) {
	if len(o.failed) == 0 {
		return 0, false
	}
	return o.failed[0].again, true
}

// retry puts back a batch that failed.
func (o *outbox[K, P, C]) retry(b *batch[K, P, C], at time.Duration) {
	b.alone = b.attempts > 1 && o.stored != b.stored
	b.stored = o.stored
	b.again = at
	heap.Push(&o.failed, b)
}

// succeeded notes that a batch was stored, and has the others that failed tried at once: the sink is there again. Those that
// failed while the sink was there keep to their back-off.
func (o *outbox[K, P, C]) succeeded(now time.Duration) {
	o.stored++
	changed := false
	for _, b := range o.failed {
		if !b.alone && b.again > now {
			b.again, changed = now, true
		}
	}
	if changed {
		heap.Init(&o.failed)
	}
}

// hurry has a batch tried at once if it waits for its back-off.
func (o *outbox[K, P, C]) hurry(b *batch[K, P, C], now time.Duration) {
	if b.place > 0 && b.again > now {
		b.again = now
		heap.Fix(&o.failed, b.place-1)
	}
}

// all is everything that is not being tried right now, taken out.
func (o *outbox[K, P, C]) all() []*batch[K, P, C] {
	list := append(o.fresh, o.failed...)
	o.fresh, o.failed = nil, nil
	return list
}

// retries is a heap of batches by the time of their next attempt.
type retries[K, P comparable, C any] []*batch[K, P, C]

func (r retries[K, P, C]) Len() int           { return len(r) }
func (r retries[K, P, C]) Less(i, j int) bool { return r[i].again < r[j].again }
func (r retries[K, P, C]) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].place, r[j].place = i+1, j+1
}
func (r *retries[K, P, C]) Push(x any) {
	b := x.(*batch[K, P, C])
	*r = append(*r, b)
	b.place = len(*r)
}
func (r *retries[K, P, C]) Pop() any {
	list := *r
	last := len(list) - 1
	b := list[last]
	list[last] = nil
	*r = list[:last]
	b.place = 0
	return b
}
