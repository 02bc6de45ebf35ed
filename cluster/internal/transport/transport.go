package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/messages"
)

// Transport is a node as its peers see it. It is safe for concurrent use.
type Transport struct {
	cfg     Config
	logger  *slog.Logger
	now     func() time.Duration
	life    uint64 // drawn at the start: what is meant for another one is not taken
	address string
	engine  *actor.ActorSystem
	remote  *remote.Remote
	dials   context.Context // ends with the transport
	hangUp  context.CancelFunc

	links  sync.Map // address → *link
	bygone bygone

	ready chan struct{} // closed when there is an address
	stop  chan struct{}
	done  chan struct{} // closed when nothing is left
	once  sync.Once
	beats sync.WaitGroup
}

// Answer is what a peer's handler replied.
type Answer struct {
	Kind    uint32
	Payload []byte
}

// New starts to listen.
//
// Errors: [penstock.ErrInvalid], naming every bad field and the values it takes; or why it cannot listen.
func New(cfg Config) (*Transport, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := newTransport(cfg.withDefaults())
	if err := t.open(); err != nil {
		t.hangUp()
		return nil, fmt.Errorf("transport: %w", err)
	}
	close(t.ready)
	t.beats.Go(t.beat)
	return t, nil
}

func newTransport(cfg Config) *Transport {
	t := &Transport{
		cfg: cfg, logger: cfg.Logger, now: cfg.Now, life: rand.Uint64() | 1,
		ready: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
		bygone: bygone{floors: make(map[uint64]floor)},
	}
	t.dials, t.hangUp = context.WithCancel(context.Background())
	return t
}

// Address is where peers reach this node.
func (t *Transport) Address() string { return t.address }

// Call asks a peer and waits for its answer. A peer that was never asked before is given a second to show that it is there.
//
// Errors: that of ctx, with whose end the peer is told that nobody waits any more; [DownError] if the peer is not there, or is lost while Call
// waits; [penstock.ErrFull] at once if too many calls to the peer wait; [RemoteError] if the peer refuses or fails; [penstock.ErrInvalid];
// [penstock.ErrClosed]. What the peer's handler replied is never an error.
func (t *Transport) Call(ctx context.Context, peer string, kind uint32, epoch uint64, payload []byte) (Answer, error) {
	q := question{kind: kind, epoch: epoch, payload: payload}
	l, err := t.prepare(ctx, peer, &q)
	if err != nil {
		return Answer{}, err
	}
	c, err := l.ask(ctx, q)
	if err != nil {
		return Answer{}, err
	}
	return l.outcome(ctx, c)
}

// Retry asks again what a call asked that ended with a DownError: it waits for the peer to come back. What the peer has handled already is
// not handled again: the answer is the first one's. The deadline is the earlier one of ctx's and the first call's. Each error can be retried
// once, and soon: two seconds after the peer has come back it is told that nobody waits any more.
//
// Errors: those of Call; a [DownError] as well if the peer has started anew, or if it is too late, which it is in any case after 25 seconds
// or so without the peer.
func (t *Transport) Retry(ctx context.Context, down *DownError) (Answer, error) {
	if down == nil || down.again == nil {
		return Answer{}, fmt.Errorf("%w retry: the error is none that a call returned", penstock.ErrInvalid)
	}
	l, err := t.link(down.Peer)
	if err != nil {
		return Answer{}, err
	}
	again := *down.again
	if at, ok := ctx.Deadline(); ok {
		if mine := t.now() + time.Until(at); again.deadline == 0 || mine < again.deadline {
			again.deadline = mine
		}
	}
	if again.deadline != 0 {
		bounded, cancel := context.WithTimeout(ctx, again.deadline-t.now())
		defer cancel()
		ctx = bounded
	}
	c, err := l.resume(ctx, again, down)
	if err != nil {
		return Answer{}, err
	}
	return l.outcome(ctx, c)
}

// Send tells a peer something, once at most: that it was sent is no promise that it arrives.
//
// Errors: [DownError] if the peer is not there; [penstock.ErrFull] if too much stands in line for it; [penstock.ErrInvalid]; [penstock.ErrClosed].
func (t *Transport) Send(peer string, kind uint32, epoch uint64, payload []byte) error {
	q := question{kind: kind, epoch: epoch, payload: payload}
	l, err := t.prepare(context.Background(), peer, &q)
	if err != nil {
		return err
	}
	return l.send(q)
}

// prepare finds the link to a peer, and checks what it is to be asked.
func (t *Transport) prepare(ctx context.Context, peer string, q *question) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(q.payload) > MaxPayload {
		return nil, fmt.Errorf("%w request: the payload has %d bytes; it may have up to %d", penstock.ErrInvalid, len(q.payload), MaxPayload)
	}
	if at, ok := ctx.Deadline(); ok {
		q.deadline = t.now() + time.Until(at)
	}
	return t.link(peer)
}

// outcome waits for an answer and says what it means. An answer that is seen after the deadline is none: its caller may have been asleep.
func (l *link) outcome(ctx context.Context, c *call) (Answer, error) {
	a, err := l.wait(ctx, c)
	if err != nil {
		return Answer{}, err
	}
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return Answer{}, context.DeadlineExceeded
	}
	if a.Refusal != messages.Refusal_REFUSAL_NONE {
		return Answer{}, &RemoteError{Peer: l.peer, Text: a.Text, refusal: a.Refusal}
	}
	return Answer{Kind: a.Kind, Payload: a.Payload}, nil
}

// link is the one to a peer, which is made when it is first needed.
func (t *Transport) link(peer string) (*link, error) {
	if l, ok := t.links.Load(peer); ok {
		return l.(*link), nil
	}
	if host, port, ok := hostPort(peer); !ok || port == 0 || unspecified(host) || peer == t.address {
		return nil, fmt.Errorf("%w peer %.512q: it takes the host and port of another node", penstock.ErrInvalid, peer)
	}
	if t.closed() {
		return nil, penstock.ErrClosed
	}
	made, loaded := t.links.LoadOrStore(peer, newLink(t, peer))
	l := made.(*link)
	if t.closed() { // meanwhile: nobody else may close it any more
		l.close()
		return nil, penstock.ErrClosed
	}
	if !loaded {
		l.look(t.now(), false)
	}
	return l, nil
}

func (t *Transport) closed() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// beat looks at all links again and again.
func (t *Transport) beat() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := t.now()
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
		}
		now := t.now()
		away := now-last > tick+stalled
		last = now
		if away {
			t.logger.Warn("this node was away, and judges nobody")
		}
		t.links.Range(func(_, l any) bool {
			l.(*link).look(now, away)
			return true
		})
	}
}

// Close ends all links: calls that wait end with [penstock.ErrClosed], and what peers asked is cancelled. It returns when nothing is left, or with
// the error of ctx. It may be called more than once.
func (t *Transport) Close(ctx context.Context) error {
	t.once.Do(func() {
		close(t.stop)
		go func() {
			defer close(t.done)
			t.shut()
		}()
	})
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("transport: it is still closing: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
	}
}
