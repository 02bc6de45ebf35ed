package bucket

import (
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// maxFar is how far from now a replayed request may lie. Package limit's time stands still beyond 73 years, and with it
// the line.
const maxFar = 70 * 366 * 24 * time.Hour

// Replay tells what a configuration would do to requests of the past: it runs the state of real buckets over their
// times of arrival, without actors, in virtual time. Every ID has a bucket; requests that cannot go at once wait, as
// with [Bucket.Acquire]. MaxBuckets, Idle and Shadow have no meaning here. Not safe for concurrent use.
type Replay struct {
	rules      *rules
	maxWaiting int
	report     func(Outcome)
	buckets    map[string]*replayed
}

// Outcome is what became of one request.
type Outcome struct {
	ID   string
	At   time.Time     // when it arrived
	Wait time.Duration // until its turn; 0 if it went at once or was refused
	Err  error         // a [FullError] if it was refused; nil if it went
}

// replayed is one ID's bucket and the moment it has been replayed up to.
type replayed struct {
	state state
	now   time.Time
}

// NewReplay returns a replay that reports each request's outcome once it is known. The error is that of [NewFamily].
func NewReplay(cfg Config, report func(Outcome)) (*Replay, error) {
	cfg = cfg.withDefaults()
	r, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	return &Replay{rules: r, maxWaiting: cfg.MaxWaiting, report: report, buckets: make(map[string]*replayed)}, nil
}

// Arrive replays a request for the ID. Its time must not be before that of the ID's last one; if it is, it is taken as
// that. The error says that the ID or the request is bad, or that the time is more than 70 years away.
func (r *Replay) Arrive(id string, at time.Time, req Request) error {
	if err := checkID(id); err != nil {
		return err
	}
	if far := at.Sub(r.rules.epoch).Abs(); far > maxFar {
		return fmt.Errorf("%w time: %v; a replay takes times within 70 years of now", penstock.ErrInvalid, at)
	}
	var own limit.Costs
	costs, err := r.rules.price(&req, &own)
	if err != nil {
		return err
	}
	if err := r.rules.possible(req.Nice, costs); err != nil {
		return err
	}
	b := r.buckets[id]
	if b == nil {
		b = &replayed{state: newState(r.rules, at, time.Time{}), now: at}
		r.buckets[id] = b
	}
	if at.Before(b.now) {
		at = b.now
	}
	r.advance(id, b, at)
	s := &b.state
	if _, _, ok := s.pass(at, req.Nice, costs); ok {
		r.report(Outcome{ID: id, At: at})
		return nil
	}
	if s.waiting() >= r.maxWaiting {
		r.report(Outcome{ID: id, At: at, Err: s.crowded(at, "replay", id)})
		return nil
	}
	t := &ticket{cost: max(req.Cost, 1), flow: req.Flow}
	s.admit(at, req.Nice, costs, t)
	s.join(t)
	return nil
}

// Finish gives everybody who still waits their turn, in virtual time.
func (r *Replay) Finish() {
	for id, b := range r.buckets {
		for b.state.waiting() > 0 {
			r.advance(id, b, b.now.Add(max(b.state.due(b.now), 0)))
		}
	}
}

// advance gives those their turn who have it until then.
func (r *Replay) advance(id string, b *replayed, until time.Time) {
	s := &b.state
	for t := s.head(); t != nil; t = s.head() {
		if d := s.due(b.now); d > 0 {
			if d > until.Sub(b.now) {
				break
			}
			b.now = b.now.Add(d)
			continue
		}
		s.grant(b.now)
		r.report(Outcome{ID: id, At: t.since, Wait: b.now.Sub(t.since)})
	}
	b.now = until
}
