package bucket

import (
	"slices"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// Permit is a request's turn. It need not be given back: what it cost comes back with time.
type Permit struct {
	entry *entry
	rules *rules    // whose limits costs are of
	at    time.Time // when it was taken
	costs limit.Costs
	away  *grant // what another node granted, instead of all that but at
}

// At is the moment at which the permit was granted, and from which on it counts. It is zero for a Permit that was not.
func (p Permit) At() time.Time { return p.at }

// Settle corrects the costs of the limits it names from what was estimated to what the request really took: with less,
// the difference is given back as far as it still counts; with more, it is taken now, and may be a debt that is worked
// off before anything else passes. Names of no limit are ignored and negative costs taken as 0. Settle a permit once.
//
// In a Clustered family the owner is told, once: if that is lost, or there is a new owner, the estimate stays.
func (p Permit) Settle(actual map[string]int) {
	if p.away != nil && len(actual) > 0 {
		p.away.settle(actual)
		return
	}
	if p.entry == nil || len(actual) == 0 {
		return
	}
	b := &p.entry.Value.handle
	for {
		rules, e, err := b.live()
		if err != nil {
			return // closed: nobody counts any more
		}
		if p.settleAt(e, rules, actual) {
			return
		}
		b.lose(e)
	}
}

func (p *Permit) settleAt(e *entry, r *rules, actual map[string]int) bool {
	g := &e.Value
	now, ok := g.enter(r)
	if !ok {
		return false
	}
	plan, granted := g.state.rules.plan, p.rules.plan
	origin := plan.Origin(granted)
	charged, more, less := plan.Translate(granted, &p.costs, 0), limit.Costs{}, limit.Costs{}
	for name, n := range actual {
		i := plan.Index(name)
		if j := granted.Index(name); i < 0 && j >= 0 { // it was called so when the permit was granted
			i = slices.Index(origin[:], j)
		}
		if i >= 0 {
			took := int32(clampCost(max(n, 0)))
			more[i], less[i] = max(0, took-charged[i]), max(0, charged[i]-took)
		}
	}
	g.state.use(now.Sub(r.epoch)) // a debt is not to be forgotten sooner than a request
	g.state.limits.Charge(now, &more)
	if e == p.entry && g.remembers(p.at) { // else the bucket was put away meanwhile, and nothing of the permit counts any more
		g.state.limits.Refund(now, p.at, &less)
	}
	g.leave(e)
	return true
}
