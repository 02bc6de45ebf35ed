package bucket

import (
	"time"

	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/limit"
)

// heritage is what a node knows of who granted turns of its shards before. It is pure.
type heritage struct {
	me     string
	shards map[int]descent
}

// descent is how a shard came to this node.
type descent struct {
	epoch   int64         // under which it came last
	root    int64         // the first of the epochs, up to that one, between which nobody else has served the shard
	assumed time.Time     // up to when others may have used up any bucket of it
	from    cluster.Owner // who served it up to root, if that is proven
}

func newHeritage(me string) heritage { return heritage{me: me, shards: make(map[int]descent)} }

// gained notes that a shard has come to this node.
func (h *heritage) gained(now time.Time, g cluster.Gain) {
	d := h.shards[g.Shard]
	if g.Epoch <= d.epoch {
		return // it was told late
	}
	if g.From.Name != h.me || g.From.Epoch != d.epoch || d.epoch == 0 {
		d.root, d.assumed, d.from = g.Epoch, now, g.From
		if g.From.Name == h.me {
			d.from = cluster.Owner{} // in another life, of which nothing is known
		}
	}
	d.epoch = g.Epoch
	h.shards[g.Shard] = d
}

// descent is how a shard came here under this epoch; ok is false while that is not known yet.
func (h *heritage) descent(shard int, epoch int64) (d descent, ok bool) {
	d = h.shards[shard]
	return d, d.epoch == epoch
}

// tenure is what a clustered bucket's history rests on. Its gate guards it.
type tenure struct {
	shard  int
	epoch  int64      // the ownership under which the history is right; 0: none, for nothing was ever granted here
	since  time.Time  // what was granted before is not known any more
	parked bool       // the family's peers tell it what becomes of its shard
	alone  *limit.Set // what this node let go while the owner was away; nil: nothing yet

	guess   guess
	lent    uint64   // requests that were lent
	lending *lending // nil unless the bucket lends, or was lent something
}

// footing is what a node may do with a bucket.
type footing uint8

const (
	owned     footing = iota
	unsettled         // it owns it, and does not know yet how it came to it
	elsewhere         // another node owns it, or none
)

// footing finds out whether a turn may be granted, right before that is done: a process that was stopped may have lost the bucket to another
// one. The gate is locked.
func (g *gate) footing(now time.Time) footing {
	t, p := g.tenure, g.handle.family.peers
	epoch, mine := p.node.Epoch(t.shard)
	switch {
	case !mine:
		return elsewhere
	case epoch == t.epoch:
		return owned
	}
	d, ok := p.descent(t.shard, epoch)
	if !ok {
		return unsettled
	}
	if t.epoch < d.root {
		g.state.assume(now, d.assumed, g.handle.family.former(), t.epoch != 0)
		t.since = now
		g.inquire(now, d)
	}
	t.epoch = epoch
	return owned
}

// assume takes the bucket for used up by others at `at`. again says that it was this node's before: what is known of that is not all.
func (s *state) assume(now, at, former time.Time, again bool) {
	if again {
		s.limits = s.rules.plan.NewSet()
		s.rules.remember(&s.limits, now, former)
	}
	for i := range s.rules.names {
		if now.Sub(at) < s.rules.reach[i] {
			s.limits.Forget(at, i)
		}
	}
}
