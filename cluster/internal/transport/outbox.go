package transport

import (
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/remote"

	"github.com/penstock-go/penstock/messages"
)

const (
	// MaxPayload is how many bytes a request or an answer may carry.
	MaxPayload = 64 << 10

	// The library writes up to writerBatch messages at once, and the peer takes maxReceive bytes: a batch holds so much that all of
	// them together fit. What is a little too long is lost with the connection.
	writerBatch = 64
	maxReceive  = 16 << 20
	window      = 1 << 20  // bytes that may be under way; gRPC would measure the line all the time to find out, with a ping for what comes
	maxBatch    = 256      // requests, and as many answers
	maxNumbers  = 1024     // IDs of what is cancelled, and as many of what is settled
	fullBatch   = 32 << 10 // bytes of requests, and as many of answers; what goes beyond is the last one's
)

// outbox is what stands in line for a peer. At most one [slip] is under way for it: the library's writer calls back when it has room for a
// message, and then takes what there is. So the batch grows with the load, and whatever is taken out before was never sent.
type outbox struct {
	slip     bool          // one is under way
	held     bool          // what stands in line waits for more, which comes at once
	since    time.Duration // since when
	ping     bool
	echo     uint64 // of the ping that is to be answered; 0: none
	requests []question
	answers  []*messages.Answer
	cancels  []uint64
	settled  []uint64
}

// clear empties it, except for the answer to a ping.
func (o *outbox) clear() {
	o.ping = false
	o.requests, o.answers, o.cancels, o.settled = nil, nil, nil, nil
}

func (o *outbox) empty() bool {
	return !o.ping && o.echo == 0 && len(o.requests) == 0 && len(o.answers) == 0 && len(o.cancels) == 0
}

// slip asks the library's writer for room. It turns into a [parcel] when there is some.
type slip struct{ *link }

// parcel is a batch as the library wants it.
type parcel struct{ *messages.Batch }

// Deserialize is never called: batches arrive as what they are.
func (p parcel) Deserialize() (remote.RootSerializable, error) { return nil, nil }

// Serialize is called by the library's writer, right before it encodes what it is given.
func (s slip) Serialize() (remote.RootSerialized, error) {
	runtime.Gosched() // those who can run are about to ask or to answer
	s.mu.Lock()
	defer s.unlock() // asks for room again if something is left
	s.out.slip = false
	return parcel{s.take(s.node.now())}, nil
}

// hold keeps answers back while the requests of one batch are handled, which does not take long: handlers do not block.
func (l *link) hold() {
	l.mu.Lock()
	l.out.held = true
	l.mu.Unlock()
}

func (l *link) unhold() {
	l.mu.Lock()
	l.out.held = false
	l.unlock()
}

// unlock ends a change of the link, and asks the writer for room if there is something to write. It does so without the lock: the library
// may call back at once.
func (l *link) unlock() {
	ask := !l.closed && !l.out.slip && !l.out.held && !l.out.empty()
	if ask {
		l.out.slip, l.out.since = true, l.node.now()
	}
	l.mu.Unlock()
	if ask {
		l.node.engine.Root.Send(l.pid, slip{l})
	}
}

// take makes a batch of what stands in line. The lock is held.
func (l *link) take(now time.Duration) *messages.Batch {
	o := &l.out
	b := &messages.Batch{From: l.node.address, Life: l.node.life, To: l.life, Link: l.losses}
	if o.ping {
		o.ping = false
		b.Ping = uint64(now)
	}
	if o.echo != 0 {
		b.Pong = &messages.Pong{Echo: o.echo, Clock: int64(now)}
		o.echo = 0
	}
	if sent, known := l.pulse.theirs(now); known {
		b.Sent = int64(sent)
		l.takeRequests(b, now)
	}
	bytes, n := 0, 0
	for ; n < len(o.answers) && n < maxBatch && bytes < fullBatch; n++ {
		bytes += len(o.answers[n].Payload)
	}
	b.Answers, o.answers = cut(o.answers, n)
	b.Cancels, o.cancels = cut(o.cancels, min(len(o.cancels), maxNumbers))
	b.Settled, o.settled = cut(o.settled, min(len(o.settled), maxNumbers))
	return b
}

// takeRequests takes those that somebody still waits for.
func (l *link) takeRequests(b *messages.Batch, now time.Duration) {
	o := &l.out
	size := min(len(o.requests), maxBatch)
	if size == 0 {
		return
	}
	room := make([]messages.Request, size)
	b.Requests = make([]*messages.Request, 0, size)
	bytes, n := 0, 0
	for ; n < size && bytes < fullBatch; n++ {
		q := o.requests[n]
		if q.id != 0 {
			c := l.pending[q.id]
			if c == nil || q.deadline != 0 && q.deadline-now < time.Microsecond {
				continue // its caller is gone, or is about to
			}
			if q.again && now > q.until {
				delete(l.pending, q.id)
				c.answer <- outcome{err: &DownError{Peer: l.peer, Why: errForgotten}}
				continue
			}
			c.sent = true
		}
		r := &room[len(b.Requests)]
		r.Id, r.Kind, r.Epoch, r.Payload = q.id, q.kind, q.epoch, q.payload
		if q.deadline != 0 {
			r.Budget = uint64((q.deadline - now) / time.Microsecond)
		}
		b.Requests = append(b.Requests, r)
		bytes += len(q.payload)
	}
	_, o.requests = cut(o.requests, n)
}

// cut takes the first n off a line. A line that has been emptied does not keep what it held.
func cut[T any](line []T, n int) (head, rest []T) {
	if n == len(line) {
		return line, nil
	}
	return line[:n:n], line[n:]
}
