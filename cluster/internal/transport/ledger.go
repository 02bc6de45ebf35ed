package transport

import (
	"container/list"
	"time"

	"github.com/penstock-go/penstock/messages"
)

// memory is how long an answer is remembered for whoever may ask for it again. Nobody asks later than that: see link.retryUntil.
const memory = 30 * time.Second

// verdict is what becomes of a request.
type verdict uint8

const (
	begin     verdict = iota
	running           // it has been begun already: its answer will come
	answered          // it has been answered already: the answer is in the record
	full              // too many are under way
	forgotten         // it may have been answered before
)

// ledger is what one life of a peer has asked of this node, so that nothing that is asked twice is done twice. It is pure, and its
// memory is bounded: at most so many requests are under way, and twice as many answers are kept that the peer has not confirmed. IDs
// of what had to be forgotten sooner are refused.
type ledger struct {
	limit   int
	records map[uint64]*record
	done    list.List // of records with an answer, in the order of their answers
	floor   uint64    // IDs up to here that are not in records may have been forgotten
}

// record is a request that is remembered.
type record struct {
	id      uint64
	request *Request         // nil once it has an answer
	answer  *messages.Answer // nil while it has none
	unheard func()           // what to do if nobody gets the answer; may be nil
	at      time.Duration    // when it got it
	place   *list.Element
}

func newLedger(limit int) *ledger { return &ledger{limit: limit, records: make(map[uint64]*record)} }

// highest is an ID such that all that were ever admitted, and may be asked again, are up to it.
func (l *ledger) highest() uint64 {
	highest := l.floor
	for id := range l.records {
		highest = max(highest, id)
	}
	return highest
}

// running is how many requests are under way.
func (l *ledger) running() int { return len(l.records) - l.done.Len() }

// admit says what becomes of a request, and remembers it if it is to be begun.
func (l *ledger) admit(id uint64) (*record, verdict) {
	if r := l.records[id]; r != nil {
		if r.answer != nil {
			return r, answered
		}
		return r, running
	}
	if id <= l.floor {
		return nil, forgotten
	}
	if l.running() >= l.limit {
		return nil, full
	}
	r := &record{id: id}
	l.records[id] = r
	return r, begin
}

// finish notes the answer of a request, and reports whether it is the first and the request is still known.
func (l *ledger) finish(r *record, now time.Duration, a *messages.Answer) bool {
	if r.answer != nil || l.records[r.id] != r {
		return false
	}
	r.answer, r.at, r.request = a, now, nil
	r.place = l.done.PushBack(r)
	for l.done.Len() > 2*l.limit {
		l.forget(l.done.Front().Value.(*record))
	}
	return true
}

// expire forgets answers that nobody may ask for any more.
func (l *ledger) expire(now time.Duration) {
	for e := l.done.Front(); e != nil && now-e.Value.(*record).at > memory; e = l.done.Front() {
		l.forget(e.Value.(*record))
	}
}

func (l *ledger) forget(r *record) {
	l.drop(r)
	l.floor = max(l.floor, r.id)
}

func (l *ledger) drop(r *record) {
	delete(l.records, r.id)
	l.done.Remove(r.place)
}

// settle forgets a request whose answer has arrived.
func (l *ledger) settle(id uint64) {
	if r := l.records[id]; r != nil && r.answer != nil {
		l.drop(r)
	}
}
