package supervisor

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Subscription delivers what a [Feed] has to say to one reader. It never holds anybody up: what the reader has no room for is
// dropped and counted.
type Subscription[E any] struct {
	feed    *Feed[E]
	events  chan E
	dropped atomic.Uint64
}

// Events is the channel to read from. It is closed by Close, and when the feed has been closed.
func (s *Subscription[E]) Events() <-chan E { return s.events }

// Dropped is how many events found the buffer full.
func (s *Subscription[E]) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription[E]) Close() { s.feed.remove(s) }

// Feed hands events to its subscribers. The zero value is ready. It is safe for concurrent use.
type Feed[E any] struct {
	active atomic.Int32 // subscribers; read without the lock, so that nobody pays when nobody listens
	mu     struct {
		sync.Mutex
		subscribers []*Subscription[E]
		closed      bool
	}
}

// Subscribe starts a subscription that has room for buffer events, at least one, which its reader has not taken yet.
func (f *Feed[E]) Subscribe(buffer int) *Subscription[E] {
	s := &Subscription[E]{feed: f, events: make(chan E, max(buffer, 1))}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed {
		close(s.events)
		return s
	}
	f.mu.subscribers = append(f.mu.subscribers, s)
	f.active.Add(1)
	return s
}

func (f *Feed[E]) remove(s *Subscription[E]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.mu.subscribers, s); i >= 0 {
		f.mu.subscribers = slices.Delete(f.mu.subscribers, i, i+1)
		f.active.Add(-1)
		close(s.events)
	}
}

// Wanted reports whether anybody listens, so that an event need not be put together for nobody.
func (f *Feed[E]) Wanted() bool { return f.active.Load() > 0 }

// Publish hands an event to every subscriber that has room for it.
func (f *Feed[E]) Publish(e E) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.mu.subscribers {
		select {
		case s.events <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

// Close ends every subscription, and those to come.
func (f *Feed[E]) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.closed = true
	for _, s := range f.mu.subscribers {
		close(s.events)
	}
	f.active.Store(0)
	f.mu.subscribers = nil
}
