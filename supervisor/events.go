package supervisor

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// EventKind is what happened to an actor.
type EventKind uint8

const (
	Started    EventKind = iota // a child, or a family, was started for the first time or after an end
	Restarted                   // it failed, or a permanent child stopped, and was started again
	GaveUp                      // it failed more often than its intensity allows
	Passivated                  // it was idle and was put away; the next use starts it again
	Stopped                     // it ended for good: closed, or by itself
)

func (k EventKind) String() string {
	names := [...]string{"started", "restarted", "gave up", "passivated", "stopped"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is a turn in the life of a child, or of a whole family when ID is empty.
type Event struct {
	What             EventKind
	Kind, Family, ID string
	Generation       uint64 // which start it was
	Err              error  // why, for Restarted and GaveUp, and for Stopped when it failed
	At               time.Time
}

// Subscription delivers events to one reader. It never holds the tree up: what the reader has no room for is dropped
// and counted.
type Subscription struct {
	feed    *feed
	events  chan Event
	dropped atomic.Uint64
}

// Events is the channel to read from. It is closed by Close, and when the tree has been closed.
func (s *Subscription) Events() <-chan Event { return s.events }

// Dropped is how many events found the buffer full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() { s.feed.remove(s) }

// feed hands events to its subscribers. The zero value is ready.
type feed struct {
	active atomic.Int32 // subscribers; read without the lock, so that nobody pays when nobody listens
	mu     struct {
		sync.Mutex
		subscribers []*Subscription
		closed      bool
	}
}

func (f *feed) subscribe(buffer int) *Subscription {
	s := &Subscription{feed: f, events: make(chan Event, max(buffer, 1))}
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

func (f *feed) remove(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.mu.subscribers, s); i >= 0 {
		f.mu.subscribers = slices.Delete(f.mu.subscribers, i, i+1)
		f.active.Add(-1)
		close(s.events)
	}
}

// wanted reports whether anybody listens, so that an event need not be put together for nobody.
func (f *feed) wanted() bool { return f.active.Load() > 0 }

func (f *feed) publish(e Event) {
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

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.closed = true
	for _, s := range f.mu.subscribers {
		close(s.events)
	}
	f.active.Store(0)
	f.mu.subscribers = nil
}
