package transport

import (
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/remote"

	"github.com/penstock-go/penstock"
)

// look is what the node does about a link again and again. away says that the node itself has not looked for a while.
func (l *link) look(now time.Duration, away bool) {
	if l.examine(now, away) {
		// The writer is gone without a word, or hangs in a connection that leads nowhere: the library begins anew.
		l.node.engine.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: l.peer})
	}
}

// examine brings the link up to date. stuck says that the library's writer has not taken anything for a long time, and is not dialling.
func (l *link) examine(now time.Duration, away bool) (stuck bool) {
	l.mu.Lock()
	defer l.unlock()
	if away {
		l.pulse.excuse(now)
	}
	if l.pulse.silent(now) {
		l.node.logger.Warn("a peer does not answer", "peer", l.peer, "waiting", len(l.pending))
		l.lose(errSilent)
	}
	if l.pulse.due(now) {
		l.out.ping = true
	}
	for _, book := range l.books {
		book.expire(now)
	}
	l.tellAbandoned(now)
	return l.out.slip && l.dialling == 0 && now-l.out.since > lost
}

// lost is how long the library's writer may leave a slip alone.
const lost = 10 * time.Second

// tellAbandoned tells a peer that is there again what it need not do any more. Who wanted to retry has done so by now.
func (l *link) tellAbandoned(now time.Duration) {
	if l.pulse.state != up || len(l.abandoned) == 0 || now-l.since < grace {
		return
	}
	for id, until := range l.abandoned {
		if now > until {
			continue // it is not remembered any more, or it has a deadline that is over
		}
		l.out.cancels = append(l.out.cancels, id)
	}
	clear(l.abandoned)
}

// broken is told that the connection is lost, or could not be made.
func (l *link) broken() {
	l.mu.Lock()
	defer l.mu.Unlock() // no new slip now: the library is just clearing up; the next look is soon enough
	l.out.slip = false
	if l.pulse.broken(l.node.now()) {
		l.node.logger.Warn("the connection to a peer broke", "peer", l.peer, "waiting", len(l.pending))
		l.lose(errBroken)
	}
}

// connected is told that there is a connection: whether somebody answers is to be seen.
func (l *link) connected() {
	l.mu.Lock()
	defer l.unlock()
	l.pulse.hurry()
	if l.pulse.due(l.node.now()) {
		l.out.ping = true
	}
}

// close ends it.
func (l *link) close() {
	l.mu.Lock()
	defer l.unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.hangUp()
	l.why = penstock.ErrClosed
	for id, c := range l.pending {
		delete(l.pending, id)
		if c.sent || c.again { // it may have been done
			c.answer <- outcome{err: l.downError(c.question, true)}
			continue
		}
		c.answer <- outcome{err: penstock.ErrClosed}
	}
	for _, book := range l.books {
		l.abandon(book)
	}
	l.out.clear()
	l.announce()
}

// Forget ends the link to a peer that is not expected back: it is no longer looked for. Calls that wait end with [penstock.ErrClosed],
// in a [DownError] if they were sent. Should it come back, or be asked again, there is a new link.
func (t *Transport) Forget(peer string) {
	if found, ok := t.links.Load(peer); ok {
		l := found.(*link)
		l.close()
		l.mu.Lock()
		t.bygone.add(t.now(), l)
		l.mu.Unlock()
		t.links.CompareAndDelete(peer, found)
		t.engine.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: peer})
	}
}

// LinkInfo is what is known of a peer.
type LinkInfo struct {
	Peer    string
	Up      bool
	Waiting int           // calls that wait for its answer
	Running int           // requests of its that are under way here
	Losses  int           // how often it was lost
	Silence time.Duration // since it answered last
}

// Up reports whether a peer is there, as far as is known. It is false for a peer that was never asked anything.
func (t *Transport) Up(peer string) bool {
	found, ok := t.links.Load(peer)
	if !ok {
		return false
	}
	l := found.(*link)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pulse.state == up && !l.closed
}

// Links is what is known of all peers, in the order of their addresses.
func (t *Transport) Links() []LinkInfo {
	var infos []LinkInfo
	t.links.Range(func(_, l any) bool {
		infos = append(infos, l.(*link).info())
		return true
	})
	slices.SortFunc(infos, func(a, b LinkInfo) int { return strings.Compare(a.Peer, b.Peer) })
	return infos
}

func (l *link) info() LinkInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	info := LinkInfo{
		Peer: l.peer, Up: l.pulse.state == up, Waiting: len(l.pending), Losses: int(l.losses - l.first),
		Silence: l.node.now() - l.pulse.heard,
	}
	for _, book := range l.books {
		info.Running += book.running()
	}
	return info
}
