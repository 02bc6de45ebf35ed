package httplimit

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxBackoffs bounds the keys whose back-off is remembered, so that a server that refuses everybody cannot make
// the table grow without end. A key beyond it is refused with the first step each time.
const maxBackoffs = 4096

// backoffs paces keys whose server refuses without saying for how long: each refusal in a row doubles the wait.
type backoffs struct {
	first, longest time.Duration
	live           atomic.Int64 // len(mu.byKey), read without the lock: most servers never refuse
	mu             struct {
		sync.Mutex
		byKey map[string]backoff
	}
}

// backoff is where one key stands.
type backoff struct {
	step  time.Duration
	since time.Time // the refusal that began it
	until time.Time // since + step
}

// refused takes a refusal, received now, of a request sent at sent, and says until when the key should wait.
// Refusals of requests that were sent before the current step began belong to the refusal that began it: ten
// requests under way that are all refused are one reason to wait, not ten.
func (b *backoffs) refused(key string, sent, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.mu.byKey[key]
	step := b.first
	switch {
	case !known || now.Sub(last.until) > b.longest: // a refusal long ago says nothing about this one
	case !sent.After(last.since):
		return last.until
	default:
		step = min(2*last.step, b.longest)
	}
	next := backoff{step: step, since: now, until: now.Add(step)}
	if !known && len(b.mu.byKey) >= maxBackoffs && !b.forget(now) {
		return next.until
	}
	if b.mu.byKey == nil {
		b.mu.byKey = make(map[string]backoff)
	}
	b.mu.byKey[key] = next
	b.live.Store(int64(len(b.mu.byKey)))
	return next.until
}

// forget drops the keys whose refusals are long ago, and reports whether that made room. The caller holds mu.
func (b *backoffs) forget(now time.Time) bool {
	for key, last := range b.mu.byKey {
		if now.Sub(last.until) > b.longest {
			delete(b.mu.byKey, key)
		}
	}
	return len(b.mu.byKey) < maxBackoffs
}

// served takes an answer that was no refusal: the next one starts from the first step again. Answers to requests that
// were sent before the refusal do not count.
func (b *backoffs) served(key string, sent time.Time) {
	if b.live.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, known := b.mu.byKey[key]; known && sent.After(last.since) {
		delete(b.mu.byKey, key)
		b.live.Store(int64(len(b.mu.byKey)))
	}
}
