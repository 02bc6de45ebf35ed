package transport

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/messages"
)

// postName is the name of the one actor that peers may address.
const postName = "penstock"

// post hands batches on, one after the other: answers to the calls that wait for them, and requests to the handler.
type post struct{ node *Transport }

func (p post) Receive(ctx actor.Context) {
	if b, ok := ctx.Message().(*messages.Batch); ok {
		p.node.receive(b)
	}
}

func (t *Transport) receive(b *messages.Batch) {
	l, err := t.link(b.GetFrom())
	if err != nil || b.GetLife() == 0 {
		t.logger.Warn("a message of nobody who could be answered was dropped", "from", b.GetFrom(), "err", err)
		return
	}
	begun := l.receive(b)
	if len(begun) == 0 {
		return
	}
	l.hold()
	defer l.unhold()
	for _, r := range begun {
		r.handle(t.cfg.Handle)
	}
}

// receive takes in what a peer says, and returns the requests that are to be begun.
func (l *link) receive(b *messages.Batch) []*Request {
	now := l.node.now()
	l.mu.Lock()
	defer l.unlock()
	if l.closed {
		return nil
	}
	l.meet(b, now)
	if b.Ping != 0 {
		l.out.echo = b.Ping
	}
	if b.To != l.node.life {
		return nil // it was meant for an earlier life of this node: all but the ping is nothing to this one
	}
	l.deliver(b.Answers)
	l.lossOf(b.Link)
	if pong := b.Pong; pong != nil && l.pulse.answered(now, time.Duration(pong.Echo), time.Duration(pong.Clock)) {
		l.since = now
		l.askAgain()
		l.node.logger.Info("a peer is there", "peer", l.peer)
		l.announce()
	}
	book := l.books[b.Life]
	begun := l.begin(book, b, now)
	for _, id := range b.Cancels {
		if r := book.records[id]; r != nil {
			l.takeBack(book, r)
		}
	}
	for _, id := range b.Settled { // after the cancels: an answer that came for nobody is settled too
		book.settle(id)
	}
	return begun
}

// meet notes whose life speaks. With a new one, what was asked of the one before is lost, and what that one asked is over.
func (l *link) meet(b *messages.Batch, now time.Duration) {
	if b.Life == l.life {
		return
	}
	if l.life != 0 {
		l.node.logger.Warn("a peer has started anew", "peer", l.peer, "waiting", len(l.pending))
		l.lose(errReborn)
		clear(l.books)
		clear(l.abandoned)
		l.pulse.reborn(now)
		if l.pulse.due(now) {
			l.out.ping = true
		}
	}
	l.life, l.theirs = b.Life, 0
	book := newLedger(l.node.cfg.MaxPending)
	book.floor = l.node.bygone.floor(b.Life)
	l.books[b.Life] = book
}

// lossOf is how often the peer has lost this node. If it has again, answers may have been lost with the connection.
func (l *link) lossOf(losses uint64) {
	if l.theirs != 0 && losses > l.theirs {
		l.fail(errLostLink)
	}
	l.theirs = max(l.theirs, losses)
}

// deliver hands answers to those who wait for them.
func (l *link) deliver(answers []*messages.Answer) {
	for _, a := range answers {
		c := l.pending[a.Id]
		if c == nil {
			l.settled(a.Id)
			continue
		}
		if c.again && a.Refusal == messages.Refusal_REFUSAL_LATE {
			l.wasLate(c)
			continue
		}
		delete(l.pending, a.Id)
		if !c.again {
			l.settled(a.Id)
		}
		c.answer <- outcome{answer: a}
	}
}

// settled has the peer forget an answer. Of what was asked twice it must not, for the first of the two may still be on its way.
func (l *link) settled(id uint64) {
	if _, again := l.abandoned[id]; !again {
		l.out.settled = append(l.out.settled, id)
	}
}

// begin notes the requests of a batch, and returns those that are to be handled. What is too old is not: its caller may have been told
// that the link is down, or have given up.
func (l *link) begin(book *ledger, b *messages.Batch, now time.Duration) (begun []*Request) {
	age := now - time.Duration(b.Sent) // at the most, since Sent is at the earliest
	for _, m := range b.Requests {
		budget := time.Duration(m.Budget) * time.Microsecond
		r := &Request{From: l.peer, ID: m.Id, Kind: m.Kind, Epoch: m.Epoch, Payload: m.Payload, link: l, book: book}
		if m.Budget != 0 {
			r.Deadline = time.Now().Add(budget - age)
		}
		left := l.node.cfg.patience - age
		if m.Budget != 0 {
			left = min(left, budget-age)
		}
		late := left <= 0
		r.until = now + left
		switch {
		case m.Id == 0 && !late:
			begun = append(begun, r)
		case m.Id != 0 && l.admit(book, r, late):
			begun = append(begun, r)
		}
	}
	return begun
}

// admit reports whether a request is to be begun, and answers it if not.
func (l *link) admit(book *ledger, r *Request, late bool) bool {
	if late && book.records[r.ID] == nil {
		l.say(&messages.Answer{Id: r.ID, Refusal: messages.Refusal_REFUSAL_LATE})
		return false
	}
	record, verdict := book.admit(r.ID)
	switch verdict {
	case begin:
		record.request, r.record = r, record
		return true
	case answered:
		l.say(record.answer)
	case full:
		l.say(&messages.Answer{Id: r.ID, Refusal: messages.Refusal_REFUSAL_FULL})
	case forgotten:
		l.say(&messages.Answer{Id: r.ID, Refusal: messages.Refusal_REFUSAL_FORGOTTEN})
	}
	return false
}
