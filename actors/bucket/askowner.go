package bucket

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// beats is how often in Transit the owners that this node asks are told what its clock says.
const beats = 4

// grant is a turn that another node has granted.
type grant struct {
	beat  beat
	epoch int64
	at    time.Duration // when it was granted, by the owner's clock
	plan  uint64        // whose limits the costs are of
	costs limit.Costs

	peers *peers // at who asked
	id    string
}

// settle tells the owner what the turn really cost.
func (g *grant) settle(actual map[string]int) {
	g.peers.tellOwner(g.id, word{settle: &settlement{id: g.id, grant: g, actual: actual}})
}

// giveBack tells the owner that the turn was not taken.
func (g *grant) giveBack() {
	g.peers.tellOwner(g.id, word{settle: &settlement{id: g.id, grant: g, unused: true}})
}

// young reports whether a turn may still be used. The owner granted it after it had heard the beat, so it is younger than that.
func (p *peers) young(b beat) bool {
	age := p.node.Clock() - time.Duration(b.stamp)
	return b.life == p.life && age >= 0 && age <= p.family.cfg.Transit
}

// beat is what this node's clock says now.
func (p *peers) beat() beat { return beat{life: p.life, stamp: int64(p.node.Clock())} }

// tryElsewhere decides for a request at a bucket of another node, which it does not ask.
func (p *peers) tryElsewhere(e *entry, r *rules, req *Request) Decision {
	if req.plain() {
		p.desk.miss(e, r, req.Nice)
	}
	return Decision{RetryAfter: p.family.cfg.Transit / beats}
}

// askOwner waits for a turn at the node that owns the bucket. done is false if that is this one.
func (b *Bucket) askOwner(ctx context.Context, r *Request) (permit Permit, err error, done bool) {
	f, p := b.family, b.family.peers
	rules := f.rules.Load()
	if rules.refusal != nil {
		return permit, f.fault(b.id, rules.refusal), true
	}
	if err := checkID(b.id); err != nil {
		return permit, err, true
	}
	shard := p.node.Shard(b.id)
	if _, mine := p.node.Epoch(shard); mine {
		return permit, nil, false
	}
	var own limit.Costs
	costs, err := rules.price(r, &own)
	if err == nil {
		err = rules.possible(r.Nice, costs)
	}
	if err != nil {
		return permit, f.fault(b.id, err), true
	}
	if r.plain() && p.desk.often(b.id) {
		if _, e, err := b.live(); err == nil {
			p.desk.miss(e, rules, r.Nice)
		}
	}
	since := f.clock.Now()
	f.event(ctx, "request asks another node", b.id, 0, nil)
	f.crowd.Enter()
	defer f.crowd.Leave(1)
	if permit, err, done = b.askTogether(ctx, shard, r, since); done {
		return permit, err, done
	}
	return b.askAlone(ctx, shard, r, since)
}

// askTogether asks the owner for a turn that is to be had at once. done is false if there is none.
func (b *Bucket) askTogether(ctx context.Context, shard int, r *Request, since time.Time) (permit Permit, err error, done bool) {
	p := b.family.peers
	o, ok := p.node.Owner(shard)
	if !ok || o.Name == p.node.Name() {
		return permit, nil, false
	}
	turn := p.rideAlong(ctx, o.Name, b.id, r)
	if turn != nil && b.family.cfg.LocalShare > 0 {
		p.back(shard)
	}
	if permit, ok = b.accept(ctx, turn, since); ok {
		return permit, nil, true
	}
	if ctx.Err() != nil {
		return permit, b.family.gaveUp(ctx, b.id, since), true
	}
	return permit, nil, false
}

// askAlone asks whoever is the owner, and waits for a turn there. done is false if this node is.
func (b *Bucket) askAlone(ctx context.Context, shard int, r *Request, since time.Time) (permit Permit, err error, done bool) {
	f, p := b.family, b.family.peers
	p.begin(shard)
	defer p.done(shard)
	// Without the deadline: an answer that comes after it is to be given back, and not to be dropped on the way.
	waits := p.waits
	if ctx.Done() != nil {
		var cancel context.CancelFunc
		waits, cancel = context.WithCancel(p.waits)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
	}
	for {
		g, err := p.ask(waits, b.id, r)
		if errors.Is(err, cluster.ErrMine) {
			return permit, nil, false
		}
		if permit, ok := b.accept(ctx, g, since); ok {
			return permit, nil, true
		}
		if f.cfg.LocalShare > 0 {
			switch {
			case !errors.Is(err, cluster.ErrAway):
				p.back(shard)
			case waits.Err() == nil:
				var ok bool
				if permit, ok, err = b.outlast(waits, shard, r); ok {
					f.metrics.waited(ctx, outcomeGranted, f.since(since))
					return permit, nil, true
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			return permit, f.gaveUp(ctx, b.id, since), true
		case p.waits.Err() != nil:
			err = context.Cause(p.waits)
		case err == nil, wasLate(err):
			continue
		}
		f.metrics.waited(ctx, outcomeFailed, f.since(since))
		full := new(FullError)
		if !errors.As(err, &full) {
			err = f.fault(b.id, err)
		}
		return permit, err, true
	}
}

// accept takes a turn, if there is one and it may still be used; else it is given back.
func (b *Bucket) accept(ctx context.Context, turn *grant, since time.Time) (permit Permit, ok bool) {
	f := b.family
	switch {
	case turn == nil:
		return permit, false
	case ctx.Err() == nil && f.peers.young(turn.beat):
		f.metrics.waited(ctx, outcomeGranted, f.since(since))
		return Permit{at: f.clock.Now(), away: turn}, true
	}
	turn.giveBack()
	f.event(ctx, "a turn came too late from another node", b.id, f.since(since), nil)
	return permit, false
}

// wasLate reports whether the owner did nothing, because the request was too long on its way.
func wasLate(err error) bool {
	remote := new(cluster.RemoteError)
	return errors.As(err, &remote) && errors.Is(err, context.DeadlineExceeded)
}

// ask asks the owner of an ID. If its answer is lost with a connection, whoever is the owner then is asked: a turn that was granted to nobody stays
// charged, and the caller need not wait for a node that may be gone.
func (p *peers) ask(ctx context.Context, id string, r *Request) (*grant, error) {
	body, err := word{ask: &asking{beat: p.beat(), request: *r}}.wire()
	if err != nil {
		return nil, err
	}
	body, err = p.port.Ask(ctx, cluster.Ask{ID: id, Body: body, Refuse: p.family.cfg.Away == cluster.Refuse || p.family.cfg.LocalShare > 0})
	if err != nil {
		return nil, err
	}
	a, err := readAnswer(body)
	switch {
	case err != nil:
		return nil, err
	case a.full != nil:
		a.full.Family, a.full.ID = p.family.name, id
		return nil, a.full
	case a.invalid != nil:
		return nil, a.invalid
	}
	a.grant.peers, a.grant.id = p, id
	return a.grant, nil
}

// invalidError is what the owner finds wrong with a request.
type invalidError struct{ text string }

func (e *invalidError) Error() string { return "its owner says: " + e.text }

// Unwrap returns [penstock.ErrInvalid].
func (e *invalidError) Unwrap() error { return penstock.ErrInvalid }

// begin notes a caller who waits for another node, which is told what this one's clock says as long as there is one.
func (p *peers) begin(shard int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking[shard]++
	every := p.family.cfg.Transit / beats
	switch {
	case p.ticking || p.closed:
		return
	case p.ticker == nil:
		p.ticker = time.AfterFunc(every, p.tick)
	default:
		p.ticker.Reset(every)
	}
	p.ticking = true
}

func (p *peers) done(shard int) {
	p.mu.Lock()
	if p.asking[shard]--; p.asking[shard] == 0 {
		delete(p.asking, shard)
	}
	p.mu.Unlock()
}

// tick tells every owner that is asked something what this node's clock says.
func (p *peers) tick() {
	p.mu.Lock()
	owners := make(map[string]bool)
	for shard := range p.asking {
		if o, ok := p.node.Owner(shard); ok && o.Name != p.node.Name() {
			owners[o.Name] = true
		}
	}
	p.ticking = len(p.asking) > 0 && !p.closed
	if p.ticking {
		p.ticker.Reset(p.family.cfg.Transit / beats)
	}
	p.mu.Unlock()
	now := p.beat()
	for name := range owners {
		p.tell(name, word{beat: &now})
	}
}
