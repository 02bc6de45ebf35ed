package durable

import (
	"container/heap"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-go/penstock/actors/queue"
)

// item is what the queue knows of an item. Its value is on disk only.
type item = queue.Item[stand]

// stand is how it stands with an item.
type stand struct {
	where  where
	until  time.Time // when it comes back by itself, while it is out or delayed
	place  int       // in the heap of those, while it is there
	back   bool      // who had it last gave it back
	reason string    // why it came back the last time
}

// where an item is.
type where uint8

const (
	waiting where = iota // in line
	going                // its next try is being written
	out                  // somebody has it
	delayed              // given back, to be handed out later
	leaving              // its end is being written
)

// state is a durable queue: what waits, who has what until when, and who waits for it. It is pure; the queue's mutex guards
// it. It changes only what is certain: what has to be on disk first goes through a write.
type state struct {
	line     queue.Behavior[stand]
	items    map[uint64]*item // all that are on disk and not dead, by ID
	away     away             // those that are out or delayed
	out      int              // how many are out
	entering int              // being written for the first time
	dead     int              // dead letters on disk
	takers   takers
	nextID   uint64
	scrub    []uint64 // IDs that a failed write may have left on disk

	cfg *rules
	counts
}

// rules are the parts of a Config that do not depend on the type of items.
type rules struct {
	visibility, maxTime          time.Duration
	maxTries, maxSize, maxTakers int
	maxItem                      int
	weights                      map[string]int
}

// counts are what became of items since the queue was opened.
type counts struct {
	enqueued, delivered, acked, returned, died, refused, commits, failed uint64
}

func newState(cfg *rules, line queue.Behavior[stand]) state {
	return state{cfg: cfg, line: line, items: make(map[uint64]*item)}
}

// size is how many items there are, dead ones and those that are being written included: what MaxSize bounds.
func (s *state) size() int { return len(s.items) + s.entering + s.dead }

// admit makes an item of what is about to be written.
func (s *state) admit(r *record) *item {
	s.nextID++
	s.entering++
	return s.item(s.nextID, r)
}

func (s *state) item(id uint64, r *record) *item {
	x := &item{At: r.at, Flow: r.flow, Seq: id, Nice: r.nice, Weight: 1, Cost: r.cost}
	if w := s.cfg.weights[r.flow]; w > 0 {
		x.Weight = w
	}
	if s.cfg.maxTime > 0 {
		x.Deadline = r.at.Add(s.cfg.maxTime)
	}
	return x
}

// enter puts an item in line that is on disk now.
func (s *state) enter(now time.Time, x *item) {
	s.items[x.Seq] = x
	s.comeBack(now, x)
}

// comeBack puts an item in line, in its place by age.
func (s *state) comeBack(now time.Time, x *item) {
	x.Value.where = waiting
	_ = s.line.In(now, x) // a line takes in everything
}

// handOut takes up to n items from the line, to be handed out as soon as that is on disk.
func (s *state) handOut(now time.Time, n int) (list []*item) {
	for len(list) < n {
		x, ok := s.line.Out(now)
		if !ok {
			break
		}
		x.Value.where = going
		list = append(list, x)
	}
	return list
}

// handedOut notes that somebody has the item.
func (s *state) handedOut(now time.Time, x *item) {
	x.Tries++
	x.Value.back = false
	s.setOut(x, now.Add(s.cfg.visibility))
	s.delivered++
}

func (s *state) setOut(x *item, until time.Time) {
	x.Value.where = out
	s.out++
	s.sendAway(x, until)
}

func (s *state) sendAway(x *item, until time.Time) {
	x.Value.until = until
	heap.Push(&s.away, x)
}

// leave takes an item from where it is, because its end or its return is about to be written.
func (s *state) leave(x *item) {
	switch x.Value.where {
	case waiting:
		s.line.Remove(x)
	case out:
		s.out--
		heap.Remove(&s.away, x.Value.place)
	case delayed:
		heap.Remove(&s.away, x.Value.place)
	}
	x.Value.where = leaving
}

// stay undoes a leave whose write failed: the item is as if somebody had it, and comes back at `at` if nothing else happens.
func (s *state) stay(x *item, at time.Time) {
	if x.Value.until.After(at) {
		at = x.Value.until
	}
	s.setOut(x, at)
}

// forget ends an item that is not on disk any more.
func (s *state) forget(x *item) { delete(s.items, x.Seq) }

// giveBack puts an item in line, or aside until its time.
func (s *state) giveBack(now time.Time, x *item, after time.Duration, reason string) {
	s.returned++
	x.Value.reason, x.Value.back = reason, true
	if after <= 0 {
		s.comeBack(now, x)
		return
	}
	x.Value.where = delayed
	s.sendAway(x, now.Add(after))
}

// errUnacknowledged is why an item came back by itself.
var errUnacknowledged = errors.New("it was not acknowledged in time")

// overdue brings back what was out for too long or is to be delayed no more. It returns what has had its last try.
func (s *state) overdue(now time.Time) (spent []*item) {
	for len(s.away) > 0 && !s.away[0].Value.until.After(now) {
		x := s.away[0]
		if x.Value.where == delayed {
			s.leave(x)
			s.comeBack(now, x)
			continue
		}
		s.leave(x)
		x.Value.reason = brief(errUnacknowledged)
		if x.Tries >= s.cfg.maxTries {
			spent = append(spent, x)
			continue
		}
		s.returned++
		s.comeBack(now, x)
	}
	return spent
}

// hopeless takes out of line what nobody took in time.
func (s *state) hopeless(now time.Time) []*item {
	gone := s.line.TimedOut(now, s.cfg.maxTime)
	for _, x := range gone {
		x.Value.where = leaving
		x.Value.reason = fmt.Sprintf("nobody took it within %v", now.Sub(x.At).Round(time.Millisecond))
	}
	return gone
}

// due is how long until something happens by itself; limit.Never if nothing will.
func (s *state) due(now time.Time) time.Duration {
	d := s.line.Due(now, s.cfg.maxTime)
	if len(s.away) > 0 {
		d = min(d, max(s.away[0].Value.until.Sub(now), 0))
	}
	return d
}

// held returns the item that somebody has by this receipt, or why it is not theirs any more.
func (s *state) held(name string, r Receipt) (*item, error) {
	x := s.items[r.ID]
	why := ""
	switch {
	case x == nil:
		why = "it is not here any more: acknowledged, dead, or purged"
	case x.Tries != r.Try, x.Value.where == going:
		why = "it was handed out again"
	case x.Value.where == leaving:
		why = "it is being acknowledged or given back"
	case x.Value.back:
		why = "it was given back"
	}
	if why != "" {
		return nil, &StaleError{Queue: name, Receipt: r, Why: why}
	}
	return x, nil
}

// away is a heap of items by the time at which they come back.
type away []*item

func (h away) Len() int { return len(h) }
func (h away) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.Value.until.Equal(b.Value.until) {
		return a.Seq < b.Seq
	}
	return a.Value.until.Before(b.Value.until)
}
func (h away) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].Value.place, h[j].Value.place = i, j
}

// Push implements heap.Interface.
func (h *away) Push(x any) {
	x.(*item).Value.place = len(*h)
	*h = append(*h, x.(*item))
}

// Pop implements heap.Interface.
func (h *away) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return x
}
