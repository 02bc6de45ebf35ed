package sampler

import (
	"slices"
	"sync/atomic"
	"time"
)

// Event is a change of the level of a sampler of this node.
type Event struct {
	Sampler  string
	From, To int
	Value    float64 // what was compared last
	At       time.Time
	Err      error // why the level is 0 although nothing was measured: samples were missed, or the sampler has ended
}

// Subscription delivers events to one reader. It never holds a sampler up: what the reader has no room for is dropped and
// counted.
type Subscription struct {
	board   *board
	events  chan Event
	dropped atomic.Uint64
}

// Events is the channel to read from. It is closed by Close, and when the system has been closed.
func (s *Subscription) Events() <-chan Event { return s.events }

// Dropped is how many events found the buffer full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	s.board.mu.feed.remove(s)
}

// feed hands events to its subscribers. The board's lock guards it.
type feed struct{ subscribers []*Subscription }

func (f *feed) subscribe(b *board, buffer int) *Subscription {
	s := &Subscription{board: b, events: make(chan Event, max(buffer, 1))}
	f.subscribers = append(f.subscribers, s)
	return s
}

func (f *feed) remove(s *Subscription) {
	if i := slices.Index(f.subscribers, s); i >= 0 {
		f.subscribers = slices.Delete(f.subscribers, i, i+1)
		close(s.events)
	}
}

func (f *feed) publish(e Event) {
	for _, s := range f.subscribers {
		select {
		case s.events <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

func (f *feed) close() {
	for _, s := range f.subscribers {
		close(s.events)
	}
	f.subscribers = nil
}
