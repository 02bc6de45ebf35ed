package bucket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// guess is what a node assumes of a bucket that has come to it, until it knows. It is pure.
type guess struct {
	number uint64 // grows with each
	open   bool   // what the node before knows may take its place
	given  uint64 // how much had been let through and lent when it was made
}

// begin makes another guess.
func (g *guess) begin(given uint64) (number uint64) {
	*g = guess{number: g.number + 1, open: true, given: given}
	return g.number
}

// holds reports whether what is known may take the place of the guess: only if nothing has been let through since, for that would be forgotten.
func (g *guess) holds(number, given uint64) bool {
	return g.open && g.number == number && g.given == given
}

// inherit puts what is known of the bucket in the place of what was assumed.
func (s *state) inherit(now, former time.Time, a account) {
	s.limits.Inherit(now, a.history)
	s.rules.remember(&s.limits, now, former)
	s.hold(now, now.Add(a.throttled))
}

// bequeath is what the bucket's next owner is told.
func (s *state) bequeath(now time.Time) account {
	a := account{history: s.limits.History(now), throttled: s.held(now)}
	if r := s.rules; r.throttle.After(now) {
		a.throttled = max(a.throttled, min(r.throttle.Sub(now), limit.Never-1))
	}
	return a
}

// counts reports whether what may have been used up at `at` still matters.
func (r *rules) counts(now, at time.Time) bool {
	for _, reach := range r.reach {
		if now.Sub(at) < reach {
			return true
		}
	}
	return false
}

// inquire has who owned the bucket before asked what it knows, if it is proven who that was. The gate is locked.
func (g *gate) inquire(now time.Time, d descent) {
	t, s := g.tenure, &g.state
	number := t.guess.begin(s.passed + t.lent)
	if d.from.Name == "" || !s.rules.counts(now, d.assumed) {
		t.guess.open = false
		return
	}
	go g.handle.family.peers.inquire(g.handle.entry.Load(), d.from, number)
}

// inquiryTime is how long the node before is waited for. Until it answers, and if it does not, the bucket counts as used up, as if nobody had
// been asked.
const inquiryTime = 5 * time.Second

func (p *peers) inquire(e *entry, from cluster.Owner, number uint64) {
	ctx, cancel := context.WithTimeout(p.waits, inquiryTime)
	defer cancel()
	a, err := p.askEstate(ctx, e.Key(), from)
	if err != nil {
		p.family.logger.LogAttrs(ctx, slog.LevelDebug, "who owned a bucket before does not say what was used; it counts as used up",
			slog.String("bucket", e.Key()), slog.String("from", from.Name), slog.Any("err", err))
		return
	}
	g := &e.Value
	now, ok := g.enter(p.family.rules.Load())
	if !ok {
		return
	}
	if t, s := g.tenure, &g.state; t.guess.holds(number, s.passed+t.lent) {
		t.guess.open, t.since = false, now
		s.inherit(now, p.family.former(), a)
	}
	g.leave(e)
}

func (p *peers) askEstate(ctx context.Context, id string, from cluster.Owner) (a account, err error) {
	body, err := word{estate: &estateAsk{epoch: from.Epoch, ids: []string{id}}}.wire()
	if err != nil {
		return a, err
	}
	if body, err = p.port.AskOwner(ctx, from, body); err != nil {
		return a, err
	}
	accounts, err := readEstate(body)
	if err == nil && len(accounts) == 0 {
		err = fmt.Errorf("%w estate of buckets: it is empty", penstock.ErrInvalid)
	}
	if err != nil {
		return a, err
	}
	return accounts[0], nil
}

// estate answers what another node asks, that has come to own buckets of this one's.
func (p *peers) estate(l letter, ask *estateAsk) {
	var accounts []account
	for _, id := range ask.ids {
		a, ok := p.bequeath(id, ask.epoch)
		if !ok {
			l.Refuse(errNotLast)
			return
		}
		accounts = append(accounts, a)
	}
	body, err := estateWire(accounts)
	if err != nil {
		l.Refuse(err)
		return
	}
	l.Reply(body)
}

var errNotLast = errors.New("this node was not the bucket's last owner under that epoch, or owns it again")

// bequeath is what this node knows of an ID that it owned last under this epoch; ok is false if that was not its last ownership, or it owns the ID
// again. Whatever it granted is in it: it grants under the lock of the gate, and looks there first who owns the bucket.
func (p *peers) bequeath(id string, epoch int64) (a account, ok bool) {
	f, shard := p.family, p.node.Shard(id)
	d, ok := p.descent(shard, epoch)
	if !ok || checkID(id) != nil {
		return a, false
	}
	r := f.rules.Load()
	now := f.now(r)
	s := newState(r, now, f.former()) // what it would be taken for if it were used here
	for i := range r.names {
		s.limits.Forget(d.assumed, i)
	}
	if e, live := f.children.Lookup(id); live {
		g := &e.Value
		if now, ok := g.enter(r); ok {
			defer g.mu.Unlock()
			if g.tenure.epoch >= d.root {
				a = g.state.bequeath(now)
			} else {
				s.hold(now, now.Add(g.state.held(now)))
				a = s.bequeath(now)
			}
			_, mine := p.node.Epoch(shard)
			return a, !mine
		}
	}
	_, mine := p.node.Epoch(shard)
	return s.bequeath(now), !mine
}
