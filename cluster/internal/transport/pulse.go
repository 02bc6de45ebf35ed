package transport

import "time"

// state is what is believed of a peer.
type state uint8

const (
	fresh state = iota // it was asked for the first time, and may still answer
	up
	down
)

func (s state) String() string { return [...]string{"fresh", "up", "down"}[s] }

const (
	tick     = 100 * time.Millisecond // how often a node looks at its links
	interval = 200 * time.Millisecond // between pings of a link that is not down
	probing  = time.Second            // between pings of one that is
	patience = time.Second            // how long a peer may go without an answer, and how old a request may be when it arrives
	stalled  = 600 * time.Millisecond // who looks at its links that much too late judges nobody: it was away itself
	drift    = 1000                   // clocks of two machines differ by less than one part in so many, if they are disciplined at all
)

// pulse is what a node knows of a peer from asking it for its clock, and getting an answer or none. It is pure: it is told the time,
// which is that of the node's own clock.
type pulse struct {
	state    state
	patience time.Duration
	asked    time.Duration // when the last ping was due
	heard    time.Duration // when the last answer came, or whatever it is that patience begins with
	asof     time.Duration // answers to pings from before do not count
	proof    time.Duration // when the ping was written that was answered last: until then, everything the peer had said had arrived

	// The peer's clock at a time t of ours is at least t + offset - (t - known)/drift, since an answer that came at a time of ours had
	// been read from that clock before.
	offset, known time.Duration
	measured      bool
}

func newPulse(now, patience time.Duration) pulse {
	return pulse{patience: patience, heard: now, asked: now - probing, asof: now - 1}
}

// due reports whether to ping now, and takes it for done.
func (p *pulse) due(now time.Duration) bool {
	every := interval
	if p.state == down {
		every = probing
	}
	if now-p.asked < every {
		return false
	}
	p.asked = now
	return true
}

// hurry has the next ping be due at once.
func (p *pulse) hurry() { p.asked = -probing << 1 }

// silent reports whether the peer has been silent for too long, and takes it for down then.
func (p *pulse) silent(now time.Duration) bool {
	if p.state == down || now-p.heard <= p.patience {
		return false
	}
	p.state = down
	p.asof = now
	return true
}

// excuse gives the peer the benefit of the doubt: it was this node that was away.
func (p *pulse) excuse(now time.Duration) {
	if p.state != down {
		p.heard = now
	}
}

// broken takes the peer for down, if it was not.
func (p *pulse) broken(now time.Duration) (news bool) {
	news = p.state != down
	p.state = down
	p.asof = now
	p.hurry()
	return news
}

// reborn forgets all about an earlier life of the peer.
func (p *pulse) reborn(now time.Duration) {
	*p = newPulse(now, p.patience)
	p.hurry()
}

// answered takes in an answer to the ping that was written at echo; clock is the peer's. news is true if the peer was not up before.
func (p *pulse) answered(now, echo, clock time.Duration) (news bool) {
	if echo <= p.asof || echo > now || now-echo > p.patience {
		return false // not an answer to anything asked lately
	}
	p.asof, p.proof, p.heard = echo, echo, now
	offset := clock - now
	if !p.measured || offset > p.atLeast(now) {
		p.offset, p.known, p.measured = offset, now, true
	}
	news = p.state != up
	p.state = up
	return news
}

// atLeast is what the peer's clock is ahead of ours, at the least.
func (p *pulse) atLeast(now time.Duration) time.Duration { return p.offset - (now-p.known)/drift }

// theirs is the peer's clock at a time of ours, at the earliest. It is known once the peer has answered.
func (p *pulse) theirs(now time.Duration) (at time.Duration, known bool) {
	return now + p.atLeast(now), p.measured
}
