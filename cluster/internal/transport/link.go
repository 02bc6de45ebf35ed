package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// link is what a node has to do with one peer: what it asked and what it was asked.
type link struct {
	node *Transport
	peer string
	pid  *actor.PID // of the peer's post

	dials  context.Context // ends when the peer is no longer to be reached
	hangUp context.CancelFunc

	mu        sync.Mutex
	closed    bool
	dialling  int // attempts to reach the peer that are under way
	pulse     pulse
	why       error         // why it is not up
	since     time.Duration // when it came up, or calls failed
	changed   chan struct{} // closed when the state has changed, and made anew
	life      uint64        // of the peer, as it said last; 0: it has not said anything
	losses    uint64        // how often the peer was lost, by this link and by those before it: it learns from that what it has asked in vain
	first     uint64        // what it was at the beginning
	theirs    uint64        // how often the peer's life has lost this node, as it said last
	last      uint64        // ID of the last request
	pending   map[uint64]*call
	abandoned map[uint64]time.Duration // requests that failed with the link, until when they may be asked again: then the peer is told
	books     map[uint64]*ledger       // by the peer's lives: what it asked
	out       outbox
}

// question is what is asked.
type question struct {
	id       uint64 // 0 until it is sent
	kind     uint32
	epoch    uint64
	payload  []byte
	deadline time.Duration // by this node's clock; 0: none
	again    bool          // it may have been asked before
	until    time.Duration // when the peer may have forgotten that it was, by this node's clock
}

// call is somebody who waits for an answer.
type call struct {
	question
	sent   bool
	answer chan outcome
}

type outcome struct {
	answer *messages.Answer
	err    error
}

// calls are pooled, for their channels: who takes one out of pending either reads what is in the channel, or knows that nothing is
// and nothing will be.
var calls = sync.Pool{New: func() any { return &call{answer: make(chan outcome, 1)} }}

func release(c *call) {
	c.question, c.sent = question{}, false
	calls.Put(c)
}

func newLink(t *Transport, peer string) *link {
	dials, hangUp := context.WithCancel(t.dials)
	first, last := t.bygone.begin()
	return &link{
		node: t, dials: dials, hangUp: hangUp, peer: peer, pid: actor.NewPID(peer, postName),
		pulse: newPulse(t.now(), t.cfg.patience), why: errNeverUp, changed: make(chan struct{}), losses: first, first: first, last: last,
		pending: make(map[uint64]*call), abandoned: make(map[uint64]time.Duration), books: make(map[uint64]*ledger),
	}
}

// ask waits until it is known whether the peer is there, and puts a question in line.
func (l *link) ask(ctx context.Context, q question) (*call, error) {
	for {
		l.mu.Lock()
		if l.pulse.state != fresh || l.closed {
			break
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer l.unlock()
	return l.enlist(q)
}

// enlist puts a question in line. The lock is held, so that IDs are in the order of the line: what has a lower one than something that
// was answered long ago cannot be new.
func (l *link) enlist(q question) (*call, error) {
	switch {
	case l.closed:
		return nil, penstock.ErrClosed
	case l.pulse.state != up:
		return nil, l.downError(q, false)
	case len(l.pending) >= l.node.cfg.MaxPending:
		return nil, fmt.Errorf("peer %s: %w: %d requests wait for their answers", l.peer, penstock.ErrFull, len(l.pending))
	}
	if q.id == 0 {
		l.last++
		q.id = l.last
	}
	l.out.requests = append(l.out.requests, q)
	return l.register(q), nil
}

// register has a call wait for the answer of a question.
func (l *link) register(q question) *call {
	c := calls.Get().(*call)
	c.question = q
	l.pending[q.id] = c
	return c
}

// wait waits for the answer of a call, and gives the call back.
func (l *link) wait(ctx context.Context, c *call) (*messages.Answer, error) {
	select {
	case o := <-c.answer:
		release(c)
		return o.answer, o.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	_, waits := l.pending[c.id]
	if waits {
		l.withdraw(c)
	}
	l.unlock()
	if waits {
		release(c)
		return nil, ctx.Err()
	}
	o := <-c.answer // it won the race
	release(c)
	return o.answer, o.err
}

// withdraw takes a call back. What was not sent will not be; else the peer is told.
func (l *link) withdraw(c *call) {
	delete(l.pending, c.id)
	if c.sent || c.again {
		l.out.cancels = append(l.out.cancels, c.id)
	}
}

// send puts something in line that wants no answer.
func (l *link) send(q question) error {
	l.mu.Lock()
	defer l.unlock()
	switch {
	case l.closed:
		return penstock.ErrClosed
	case l.pulse.state != up:
		return l.downError(q, false)
	case len(l.out.requests) >= l.node.cfg.MaxPending:
		return fmt.Errorf("peer %s: %w: %d requests stand in line", l.peer, penstock.ErrFull, len(l.out.requests))
	}
	l.out.requests = append(l.out.requests, q)
	return nil
}

// answer puts the answer of a request in line. If nobody gets it, unheard is called, unless it is nil.
func (l *link) answer(book *ledger, r *record, a *messages.Answer, unheard func()) {
	now := l.node.now()
	l.mu.Lock()
	defer l.unlock()
	switch {
	case book.finish(r, now, a):
		r.unheard = unheard
		l.say(a)
	case unheard != nil:
		go unheard()
	}
}

// say puts an answer in line, if the peer is not known to be away: else it is remembered, should the peer come back and ask again.
func (l *link) say(a *messages.Answer) {
	if l.pulse.state != down && !l.closed {
		l.out.answers = append(l.out.answers, a)
	}
}

// lose ends everything that is under way to the peer, and what it has asked.
func (l *link) lose(why error) {
	l.losses++
	l.why = why
	l.fail(why)
	l.out.clear()
	for _, book := range l.books {
		l.abandon(book)
	}
	l.announce()
}

// fail ends the calls that wait. The lock is held.
func (l *link) fail(why error) {
	l.why, l.since = why, l.node.now()
	for id, c := range l.pending {
		delete(l.pending, id)
		sent := c.sent || c.again
		down := l.downError(c.question, sent)
		if sent && len(l.abandoned) < 2*l.node.cfg.MaxPending {
			l.abandoned[id] = down.again.until
		}
		c.answer <- outcome{err: down}
	}
}

// retryUntil is when the peer may have forgotten what it answered last before the link went down. Whatever did not arrive was said
// after the ping that was answered last had been written, and is remembered for a while from then on.
func (l *link) retryUntil() time.Duration { return l.pulse.proof + memory - memory/10 }

func (l *link) downError(q question, sent bool) *DownError {
	if !q.again {
		q.until = l.retryUntil() // else it stays what it was: the answer is not younger for having been asked for again
	}
	return &DownError{Peer: l.peer, NotSent: !sent, Why: l.why, again: &q, toLife: l.life}
}

// abandon cancels what is under way of a life of the peer.
func (l *link) abandon(book *ledger) {
	for _, r := range book.records {
		l.cancel(book, r)
	}
}

func (l *link) cancel(book *ledger, r *record) {
	if request := r.request; request != nil {
		book.finish(r, l.node.now(), &messages.Answer{Id: r.id, Refusal: messages.Refusal_REFUSAL_CANCELED})
		request.abandon()
	}
}

// takeBack is told that nobody waits for the answer of a request. If it has one, it was for nothing.
func (l *link) takeBack(book *ledger, r *record) {
	l.cancel(book, r)
	if r.unheard != nil {
		go r.unheard()
		r.unheard = nil
	}
}

// announce tells those who wait for a change of the state.
func (l *link) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}
