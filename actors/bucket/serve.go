package bucket

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// beat is what a node's clock said: a number that means something to that node alone.
type beat struct {
	life  uint64
	stamp int64
}

// correspondent is another node that asks this one.
type correspondent struct{ newest atomic.Pointer[beat] }

// hear takes in a beat. Those of an earlier life do harm to nobody: they come back to who does not take them.
func (c *correspondent) hear(b beat) {
	for {
		was := c.newest.Load()
		if was != nil && was.life == b.life && was.stamp >= b.stamp || c.newest.CompareAndSwap(was, &b) {
			return
		}
	}
}

func (p *peers) correspondent(name string) *correspondent {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.heard[name]
	if c == nil {
		c = new(correspondent)
		p.heard[name] = c
	}
	return c
}

// hear takes in what another node says.
func (p *peers) hear(l letter) {
	select {
	case <-p.ready:
	default:
		l.Refuse(cluster.ErrMoved) // it asks again
		return
	}
	w, err := readWord(l.body)
	switch {
	case err != nil:
		p.misheard(l.from, err)
		l.Refuse(err)
	case w.ask != nil:
		c := p.correspondent(l.from)
		c.hear(w.ask.beat)
		p.serve(l, c, &w.ask.request)
	case w.asks != nil:
		c := p.correspondent(l.from)
		c.hear(w.asks.beat)
		p.turns(l, c, w.asks.list)
	case w.beat != nil:
		p.correspondent(l.from).hear(*w.beat)
	case w.settle != nil:
		p.settle(w.settle)
	case w.throttle != nil:
		p.hold(w.throttle)
	case w.estate != nil:
		p.estate(l, w.estate)
	case w.wants != nil:
		p.desk.hearWants(l.from, *w.wants)
	case w.lent != nil:
		p.desk.hearSlices(l.from, w.lent)
	}
}

func (p *peers) misheard(from string, err error) {
	p.family.logger.LogAttrs(context.Background(), slog.LevelWarn, "what another node said of buckets is not understood",
		slog.String("from", from), slog.Any("err", err))
}

// serve has a request of another node go at once or join the line.
func (p *peers) serve(l letter, c *correspondent, r *Request) {
	b := p.family.Bucket(l.id)
	for {
		rules, e, err := b.live()
		if err != nil {
			p.refuse(l, err)
			return
		}
		var own limit.Costs
		costs, err := rules.price(r, &own)
		if err != nil {
			p.reply(l, answerWord{invalid: err})
			return
		}
		newest := *c.newest.Load() // before the gate reads the clock: else a grant could pass for younger than it is
		switch permit, w, answer := e.Value.ask(e, rules, r, costs, nil); answer {
		case gone:
			b.lose(e)
		case stale:
		case moved:
			l.Refuse(cluster.ErrMoved)
			return
		case never:
			p.reply(l, answerWord{invalid: rules.possible(r.Nice, costs)})
			return
		case crowded:
			if full := b.crowded(e); full != nil {
				p.refuse(l, full)
				return
			}
		case queued:
			w.from = c
			go p.stand(l, w)
			return
		default:
			p.grant(l, permit, newest)
			return
		}
	}
}

// stand has a request of another node wait for its turn.
func (p *peers) stand(l letter, w *waiter) {
	f := p.family
	f.children.Send(w.entry, w)
	var err error
	select {
	case err = <-w.reply:
	case <-l.Canceled():
		if w.decide(abandoned) {
			f.children.Send(w.entry, left{w})
			return
		}
		err = <-w.reply // the answer was quicker
	}
	permit, newest := w.permit, w.beat
	w.permit, w.from = Permit{}, nil
	f.waiters.Put(w)
	if err != nil {
		p.refuse(l, err)
		return
	}
	p.grant(l, permit, newest)
}

// grant tells another node that it is its turn. If nobody hears it, it costs nothing.
func (p *peers) grant(l letter, permit Permit, newest beat) {
	g := p.grantOf(&permit, permit.entry.Value.epoch())
	g.beat = newest
	body, err := answerWord{grant: &g}.wire()
	if err != nil {
		permit.entry.Value.undo(&permit)
		l.Refuse(err)
		return
	}
	l.ReplyOr(body, func() { permit.entry.Value.undo(&permit) })
}

// grantOf is a permit as another node is told of it, but for the beat.
func (p *peers) grantOf(permit *Permit, epoch int64) grant {
	return grant{epoch: epoch, at: p.family.clock.Offset(permit.at), plan: permit.rules.planned, costs: permit.costs}
}

// epoch is that under which the bucket grants.
func (g *gate) epoch() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tenure.epoch
}

func (p *peers) reply(l letter, a answerWord) {
	body, err := a.wire()
	if err != nil {
		l.Refuse(err)
		return
	}
	l.Reply(body)
}

// refuse tells another node why a request is not granted.
func (p *peers) refuse(l letter, err error) {
	full := new(FullError)
	switch {
	case errors.As(err, &full):
		p.reply(l, answerWord{full: full})
	case errors.Is(err, errMoved), errors.Is(err, penstock.ErrClosed): // somebody else is, or will be, there for it
		l.Refuse(cluster.ErrMoved)
	case errors.Is(err, penstock.ErrInvalid):
		p.reply(l, answerWord{invalid: err})
	default:
		l.Refuse(err)
	}
}

// settle corrects what another node's turn was charged, if this node still knows of it.
func (p *peers) settle(s *settlement) {
	f := p.family
	e, ok := f.children.Lookup(s.id)
	granted := p.planned(s.grant.plan)
	if !ok || granted == nil || e.Value.epoch() != s.grant.epoch {
		return // it stays charged
	}
	at := f.clock.At(min(max(s.grant.at, 0), f.clock.Elapsed()))
	permit := Permit{entry: e, rules: granted, at: at, costs: s.grant.costs}
	if s.unused {
		e.Value.undo(&permit)
	} else {
		permit.Settle(s.actual)
	}
}

// hold throttles what another node says.
func (p *peers) hold(t *throttle) {
	until := p.family.clock.Now().Add(min(t.rest, math.MaxInt64/4))
	if t.id == "" {
		p.family.hold(until)
		return
	}
	b := p.family.Bucket(t.id)
	if checkID(t.id) == nil && p.owner(t.id) == "" {
		b.hold(until)
	}
}

// errMoved is what those are told who wait here, when the bucket is another node's: they ask that one.
var errMoved = errors.New("the bucket has another owner")

// look notes how young the next grant provably is, and reads the clock only after that.
func (a *bucketActor) look(w *waiter, s *state) time.Time {
	if w.from != nil {
		w.beat = *w.from.newest.Load()
	}
	return a.family().now(s.rules)
}

// entitled reports whether the bucket may grant turns now. If another node owns it, those who wait are told.
func (a *bucketActor) entitled(now time.Time, s *state) bool {
	switch a.entry.Value.footing(now) {
	case owned:
		return true
	case elsewhere:
		for t := s.head(); t != nil; t = s.head() {
			s.dismiss(t)
			a.family().crowd.Leave(1)
			t.waiter.refuse(errMoved)
		}
	}
	return false
}
