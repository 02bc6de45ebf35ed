package transport

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/penstock-go/penstock/messages"
)

// Request is what a peer asks.
type Request struct {
	From     string    // the address that the peer advertises
	ID       uint64    // its number, which grows with each request of the peer's life; 0 if no answer is wanted
	Kind     uint32    // as the peer gave it
	Epoch    uint64    // as the peer gave it
	Deadline time.Time // when nobody waits for the answer any more, by this node's monotonic clock and rather too early; zero if there is none
	Payload  []byte    // the handler's to keep

	link   *link
	book   *ledger
	record *record
	until  time.Duration // when it is too late to begin, by the node's clock

	mu       sync.Mutex
	canceled bool
	cancel   chan struct{} // made when somebody asks for it
}

// Canceled is closed when nobody waits for the answer any more: the caller gave up, or the peer is down or has started anew. What is
// replied from then on is not heard.
func (r *Request) Canceled() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel == nil {
		r.cancel = make(chan struct{})
		if r.canceled {
			close(r.cancel)
		}
	}
	return r.cancel
}

func (r *Request) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.canceled {
		r.canceled = true
		if r.cancel != nil {
			close(r.cancel)
		}
	}
}

// ReplyOr replies, and has unheard called on a goroutine of its own if it turns out that nobody gets the answer: the caller gave up before it came,
// or the link was lost and it has not been asked for again. It is not called if the peer, or this node, is gone: then nobody can tell.
func (r *Request) ReplyOr(kind uint32, payload []byte, unheard func()) {
	if len(payload) > MaxPayload {
		go unheard()
	}
	r.replyOr(kind, payload, unheard)
}

// reply is what the handler is given.
func (r *Request) reply(kind uint32, payload []byte) { r.replyOr(kind, payload, nil) }

func (r *Request) replyOr(kind uint32, payload []byte, unheard func()) {
	if len(payload) > MaxPayload {
		r.answer(&messages.Answer{
			Refusal: messages.Refusal_REFUSAL_FAILED,
			Text:    fmt.Sprintf("the answer has %d bytes; it may have up to %d", len(payload), MaxPayload),
		}, nil)
		return
	}
	r.answer(&messages.Answer{Kind: kind, Payload: payload}, unheard)
}

func (r *Request) answer(a *messages.Answer, unheard func()) {
	if r.ID != 0 {
		a.Id = r.ID
		r.link.answer(r.book, r.record, a, unheard)
	}
}

// idle reports whether nobody waits for the answer.
func (r *Request) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.canceled
}

// handle has the handler answer a request, and answers for one that panics. It asks the clock once more, for this node may have been away.
func (r *Request) handle(h Handler) {
	defer func() {
		if reason := recover(); reason != nil {
			r.link.node.logger.Error("the handler of a request panicked", "peer", r.From, "kind", r.Kind, "panic", reason, "stack", string(debug.Stack()))
			r.answer(&messages.Answer{Refusal: messages.Refusal_REFUSAL_FAILED, Text: "its handler panicked"}, nil)
		}
	}()
	switch {
	case r.idle():
	case r.link.node.now() >= r.until:
		r.answer(&messages.Answer{Refusal: messages.Refusal_REFUSAL_LATE}, nil)
	default:
		h(r, r.reply)
	}
}
