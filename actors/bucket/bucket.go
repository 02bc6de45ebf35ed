package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/registry"
)

// maxID is the longest ID, in bytes: it becomes part of an actor's address and of error messages.
const maxID = 512

// Bucket is a handle to one ID's bucket. It stays good for ever: when the bucket behind it has been put away, the next
// use brings it back. Get one from [Family.Bucket]. It is safe for concurrent use.
type Bucket struct {
	family *Family
	entry  atomic.Pointer[registry.Entry[string, gate]] // nil until first use
	id     string
}

// Request says what is asked for. The zero Request has niceness 0 and costs 1 of every limit.
type Request struct {
	// Nice is the urgency as Unix has it, -20 (most urgent) to 19. Default 0
	Nice int
	// Flow names whose request it is. While requests wait, the flows of a niceness take turns: each that has somebody
	// waiting is served in proportion to its weight in [Config].Weights, however many it has waiting. Inside a flow they go
	// in the order of their coming. At most 512 bytes of UTF-8. A family with Aging has no flows, and refuses a request
	// that names one. Default "", which is a flow like any other
	Flow string
	// Cost is taken of every limit that Costs does not name, and of the share of the request's flow. Default 1
	Cost int
	// Costs are what is taken of the limits it names; 0 leaves a limit alone. They play no part in the share of a flow: to
	// share a limit of tokens, Cost is the tokens and Costs says {"requests": 1}. Default: none, every limit takes Cost
	Costs map[string]int
	// Key lets [Do] run requests of one bucket that are the same only once; see there. Others ignore it. Default "":
	// every request runs by itself
	Key string
}

// Decision is what [Bucket.TryAcquire] answers.
type Decision struct {
	Allowed bool
	// RetryAfter is how long until a refused request may find room, at the earliest. 0 if allowed.
	RetryAfter time.Duration
	// Limit is the name of the limit that held a refused request back, empty if it was a throttle or those who wait; if
	// allowed, of the limit with the least left.
	Limit string
	// Remaining is what is left of that limit, if allowed.
	Remaining int
	// Err says why no wait would help: the ID or the request is bad, the family is full or closed. Then Allowed is false.
	Err error
}

// FullError says that as many requests wait at a bucket as may. It is an [penstock.ErrFull].
type FullError struct {
	Family, ID string
	Waiting    int           // how many wait
	Limit      string        // the limit that holds the line back; empty if it is a throttle
	RetryAfter time.Duration // until the line moves, at the earliest
}

func (e *FullError) Error() string {
	return fmt.Sprintf("bucket %q of family %q: %d requests wait already, as many as may; the line moves in %v at the earliest",
		e.ID, e.Family, e.Waiting, e.RetryAfter)
}

// Unwrap returns [penstock.ErrFull].
func (e *FullError) Unwrap() error { return penstock.ErrFull }

// ID is the bucket's ID.
func (b *Bucket) ID() string { return b.id }

// TryAcquire lets the request go now, or says why not. It never waits and does not allocate. While others wait, only a
// request that is more urgent than all of them can be let go.
//
// In a Clustered family nothing passes at a node that does not own the bucket, but for what the owner has lent it: so the first one is refused, and
// those soon after it pass. RetryAfter is then a guess, Remaining is what is left of what was lent, and Limit is empty.
//
// In a Shadow family the request is allowed, if it is valid, and the other fields say what would have been.
func (b *Bucket) TryAcquire(r Request) Decision {
	if rules := b.family.rules.Load(); r.plain() {
		if e := b.entry.Load(); e != nil {
			if tightest, remaining, _, ok := e.Value.pass(rules, r.Nice, &rules.one); ok {
				return Decision{Allowed: true, Limit: rules.names[tightest], Remaining: remaining}
			}
			if p := b.family.peers; p != nil {
				if s, left := p.desk.take(e, rules, r.Nice); s != nil {
					return Decision{Allowed: true, Remaining: left}
				}
			}
		}
	}
	return b.tryAcquire(&r)
}

// plain reports whether the request is valid without a look at the rules, and costs 1 of everything.
func (r *Request) plain() bool {
	return r.Costs == nil && r.Flow == "" && uint(r.Cost) <= 1 && uint(r.Nice-MinNice) <= MaxNice-MinNice
}

func (b *Bucket) tryAcquire(r *Request) Decision {
	for {
		rules, e, err := b.live()
		if err != nil {
			return Decision{Err: err, Allowed: b.family.lets(err)}
		}
		var own limit.Costs
		costs, err := rules.price(r, &own)
		if err != nil {
			return Decision{Err: b.family.fault(b.id, err)}
		}
		switch d, answer := e.Value.try(rules, r.Nice, costs); answer {
		case gone:
			b.lose(e)
		case stale:
		case moved:
			return b.family.peers.tryElsewhere(e, rules, r)
		case never:
			err := rules.possible(r.Nice, costs)
			if err == nil {
				err = rules.atOnce(r.Nice, costs)
			}
			return Decision{Err: b.family.fault(b.id, err)}
		default:
			return d
		}
	}
}

// Acquire waits until it is the request's turn. The more urgent go first, equals in the order of their coming, or in
// turns if they are of several flows. When ctx ends first, its error is returned and nothing has been spent. Other
// errors: a [FullError] at once when too many wait already, [penstock.ErrInvalid] for a bad ID or a request that could
// never be granted, [penstock.ErrClosed].
//
// In a Clustered family also: cluster.ErrAway if the owner is away and Config.Away says so; [penstock.ErrFull] if too many calls to the owner
// wait. If the owner's answer is lost, the owner is asked again, and the lost one may have charged the limits for nothing.
func (b *Bucket) Acquire(ctx context.Context, r Request) (Permit, error) {
	return b.acquire(ctx, &r, nil)
}

// acquire is Acquire for the request of a call, which is nil for a caller of its own.
func (b *Bucket) acquire(ctx context.Context, r *Request, c *call) (Permit, error) {
	if err := ctx.Err(); err != nil {
		return Permit{}, b.family.fault(b.id, err)
	}
	if c == nil && r.plain() {
		rules := b.family.rules.Load()
		if e := b.entry.Load(); e != nil {
			if _, _, elapsed, ok := e.Value.pass(rules, r.Nice, &rules.one); ok {
				return Permit{entry: e, rules: rules, at: b.family.clock.At(elapsed), costs: rules.one}, nil
			}
			if p := b.family.peers; p != nil {
				if s, _ := p.desk.take(e, rules, r.Nice); s != nil {
					return Permit{at: b.family.now(rules), away: s.grant}, nil
				}
			}
		}
	}
	for {
		if b.family.peers != nil {
			if p, err, done := b.askOwner(ctx, r); done {
				return p, err
			}
		}
		rules, e, err := b.live()
		if err != nil {
			if b.family.lets(err) {
				err = nil
			}
			return Permit{}, err
		}
		var own limit.Costs
		costs, err := rules.price(r, &own)
		if err != nil {
			return Permit{}, b.family.fault(b.id, err)
		}
		switch p, w, answer := e.Value.ask(e, rules, r, costs, c); answer {
		case gone:
			b.lose(e)
		case stale:
		case moved:
		case queued:
			p, err := b.wait(ctx, w, c)
			if !errors.Is(err, errMoved) {
				return p, err
			}
		case crowded:
			if full := b.crowded(e); full != nil {
				return Permit{}, full
			}
		case never:
			return Permit{}, b.family.fault(b.id, rules.possible(r.Nice, costs))
		default:
			return p, nil
		}
	}
}

// wait sends the waiter to the actor and waits for its turn or for the end of ctx.
func (b *Bucket) wait(ctx context.Context, w *waiter, c *call) (Permit, error) {
	f, e, since := b.family, w.entry, w.ticket.since
	f.event(ctx, "request waits", b.id, 0, nil)
	f.children.Send(e, w)
	var err error
	select {
	case err = <-w.reply:
	case <-ctx.Done():
		if w.decide(abandoned) {
			f.children.Send(e, left{w})
			return Permit{}, f.gaveUp(ctx, b.id, since)
		}
		err = <-w.reply // the answer was quicker
	}
	p := w.permit
	if c == nil {
		w.permit = Permit{}
		f.waiters.Put(w)
	}
	if err == errMoved {
		return Permit{}, err
	}
	if err != nil {
		f.metrics.waited(ctx, outcomeFailed, f.since(since))
		return Permit{}, f.fault(b.id, err)
	}
	if ctx.Err() != nil { // it was granted to a caller who had given up: that costs nothing
		e.Value.undo(&p)
		return Permit{}, f.gaveUp(ctx, b.id, since)
	}
	if f.peers != nil && f.peers.late(e, f.since(p.at)) {
		e.Value.undo(&p)
		return Permit{}, errMoved
	}
	f.metrics.waited(ctx, outcomeGranted, f.since(since))
	return p, nil
}

// crowded says why the line takes nobody in; nil if it was put away meanwhile.
func (b *Bucket) crowded(e *entry) error {
	g := &e.Value
	now, ok := g.enter(b.family.rules.Load())
	if !ok {
		return nil
	}
	defer g.mu.Unlock()
	return g.state.crowded(now, b.family.name, b.id)
}

// live returns the rules in force and the bucket's entry, which it makes if it must.
func (b *Bucket) live() (*rules, *entry, error) {
	r := b.family.rules.Load()
	if r.refusal != nil {
		return nil, nil, b.family.fault(b.id, r.refusal)
	}
	if e := b.entry.Load(); e != nil {
		return r, e, nil
	}
	e, err := b.resolve()
	return r, e, err
}

// resolve finds or makes the bucket's entry in the directory.
func (b *Bucket) resolve() (*entry, error) {
	if err := checkID(b.id); err != nil {
		return nil, err
	}
	e, err := b.family.children.Get(b.id)
	if err != nil {
		if errors.Is(err, penstock.ErrFull) {
			err = fmt.Errorf("%w; MaxBuckets says so, and buckets go when they have not been used for Idle and their windows are empty", err)
		}
		b.family.metrics.createFailed()
		b.family.event(context.Background(), "bucket could not be started", b.id, 0, err)
		return nil, b.family.fault(b.id, err)
	}
	b.entry.Store(e)
	return e, nil
}

// lose lets go of an entry that was put away, here and in the directory, so that the next look finds a new one.
func (b *Bucket) lose(e *entry) {
	b.family.children.Discard(e)
	b.entry.CompareAndSwap(e, nil)
}

func checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w bucket ID: it is empty; it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, maxID)
	case len(id) > maxID:
		return fmt.Errorf("%w bucket ID: it has %d bytes (%q…); it takes 1 to %d bytes of UTF-8", penstock.ErrInvalid, len(id), id[:16], maxID)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w bucket ID %q: it is not UTF-8", penstock.ErrInvalid, id)
	}
	return nil
}

// Throttle lets nothing of this bucket pass before until, because an upstream said so. It never shortens a longer
// throttle, and a bad ID has none. In a Clustered family the owner is told, if it can be reached; the next owner is told by it. What other nodes
// were lent by then may pass for Transit.
func (b *Bucket) Throttle(until time.Time) {
	until = monotonic(until)
	if p := b.family.peers; p != nil && p.throttleOwner(b.id, until) {
		if e := b.entry.Load(); e == nil || !e.Value.borrows() {
			return
		}
	}
	b.hold(until) // what was lent here too
}

// hold is Throttle for a bucket of this node.
func (b *Bucket) hold(until time.Time) {
	for {
		rules, e, err := b.live()
		if err != nil {
			return
		}
		if now, ok := e.Value.enter(rules); ok {
			e.Value.state.hold(now, until)
			e.Value.mu.Unlock()
			return
		}
		b.lose(e)
	}
}

// monotonic gives a time of the wall clock, as it comes from an upstream, its place on the monotonic one.
func monotonic(t time.Time) time.Time {
	now := time.Now()
	return now.Add(t.Sub(now))
}
