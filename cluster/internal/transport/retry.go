package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
)

// grace is how long after a loss, or after the peer's return, what may be asked again is not yet taken back.
const grace = 2 * time.Second

// resume asks again what the link's going down has left open.
func (l *link) resume(ctx context.Context, q question, down *DownError) (*call, error) {
	if down.NotSent { // as good as new
		q.id = 0
		if err := l.awaitUp(ctx); err != nil {
			return nil, err
		}
		return l.ask(ctx, q)
	}
	l.mu.Lock()
	defer l.unlock()
	_, open := l.abandoned[q.id]
	switch {
	case l.closed:
		return nil, penstock.ErrClosed
	case l.life != down.toLife:
		return nil, &DownError{Peer: l.peer, Why: errReborn}
	case !open || l.node.now() > q.until:
		return nil, &DownError{Peer: l.peer, Why: errForgotten}
	case len(l.pending) >= l.node.cfg.MaxPending:
		return nil, fmt.Errorf("peer %s: %w: %d requests wait for their answers", l.peer, penstock.ErrFull, len(l.pending))
	}
	delete(l.abandoned, q.id) // so that the peer is not told to give it up
	q.again = true
	c := l.register(q) // at once: the answer may be on its way, and must not be taken for one that nobody wants
	if l.pulse.state == up {
		l.out.requests = append(l.out.requests, q)
	}
	return c, nil
}

// awaitUp waits until the peer is there.
func (l *link) awaitUp(ctx context.Context) error {
	for {
		l.mu.Lock()
		ready, changed := l.pulse.state == up || l.closed, l.changed
		l.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// askAgain asks what has waited for the peer's return, which is nothing but that: the loss has ended all other calls.
func (l *link) askAgain() {
	for _, c := range l.pending {
		l.out.requests = append(l.out.requests, c.question)
	}
}

// wasLate is told that the peer has dropped one of several copies of a question, which may not have been the last. Copies do no harm, so
// there is another one, until it is too late.
func (l *link) wasLate(c *call) {
	if c.sent {
		c.sent = false
		l.out.requests = append(l.out.requests, c.question)
	}
}
