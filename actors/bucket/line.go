package bucket

import (
	"iter"
	"time"

	"github.com/penstock-go/penstock/limit"
)

// ticket is a request that waits.
type ticket struct {
	limit.Turn             // its place in an ageLine
	limit.Slot             // its place in a flowLine
	waiter     *waiter     // whom it belongs to; nil in a replay
	plan       *limit.Plan // whose limits costs are of
	costs      limit.Costs
	cost       int       // of its flow's share, and of limits that are new when the plan is changed
	flow       string    // whose turn it takes
	since      time.Time // when it began to wait
	seq        uint64    // order of arrival
	nice       int
	// counted is true while the request counts as waiting, inLine while it is in the line as well.
	counted, inLine bool
}

// reprice brings the ticket's costs over to a changed plan.
func (t *ticket) reprice(p *limit.Plan) {
	t.costs, t.plan = p.Translate(t.plan, &t.costs, t.cost), p
}

// line is a bucket's waiting requests that have reached the actor, in the order of their turns.
type line interface {
	push(t *ticket, r *rules)
	Peek() (*ticket, bool)  // whose turn is next; false if nobody waits
	Pop() (*ticket, bool)   // takes out whose turn it is: that costs its flow
	Remove(t *ticket) bool  // takes out who gave up: that costs its flow nothing
	Len() int               // how many are in line
	All() iter.Seq[*ticket] // in no order to rely on
}

// newLine is the line of a bucket with these rules. Whether they have ageing never changes.
func newLine(r *rules) line {
	if r.aging > 0 {
		return new(ageLine)
	}
	return new(flowLine)
}

// ageLine is the line of a family with Aging: every request has a rank of its own, so nobody shares one.
type ageLine struct{ limit.Priority[*ticket] }

func (l *ageLine) push(t *ticket, r *rules) { l.Push(t, r.rank(t.nice, t.since), t.seq) }

// flowLine is the line of every other family: flows take turns inside a niceness.
type flowLine struct{ limit.Fair[*ticket] }

func (l *flowLine) push(t *ticket, r *rules) {
	l.Push(t, limit.Position{
		Rank: r.rank(t.nice, t.since), Flow: t.flow, Weight: r.weight(t.flow), Cost: t.cost, Seq: t.seq,
	})
}
