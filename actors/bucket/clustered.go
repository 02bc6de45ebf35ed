package bucket

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

// peers is the way of a clustered family to those of the same name on other nodes.
type peers struct {
	family *Family
	node   node
	port   port
	life   uint64        // of what this node says
	ready  chan struct{} // closed once the family has started
	desk   *desk

	convoys sync.Map // by member
	seats   sync.Pool
	longWay longWay

	waits context.Context // ends when nobody may wait for other nodes any more
	end   context.CancelCauseFunc

	mu       sync.Mutex
	heritage heritage
	parked   map[int]map[*entry]struct{} // by shard: buckets at which somebody waits
	asking   map[int]int                 // by shard: callers who wait for the answer of another node
	ticker   *time.Timer                 // tells the owners that they ask what this node's clock says; nil until somebody has asked
	ticking  bool
	closed   bool
	heard    map[string]*correspondent // by node
	absent   map[int]absence           // by shard; only with a LocalShare
	former   []*rules                  // the latest of those whose plans are no longer in force
}

// node is what is used of a [cluster.Node].
type node interface {
	Name() string
	Shard(id string) int
	Epoch(shard int) (epoch int64, mine bool)
	Owner(shard int) (cluster.Owner, bool)
	Clock() time.Duration
}

// port is what is used of a [cluster.Port].
type port interface {
	Ask(ctx context.Context, a cluster.Ask) ([]byte, error)
	AskMember(ctx context.Context, member string, body []byte) ([]byte, error)
	AskOwner(ctx context.Context, o cluster.Owner, body []byte) ([]byte, error)
	Tell(member string, body []byte) error
	Members() []string
	Close()
}

// inquiry is what is used of a [cluster.Call].
type inquiry interface {
	Canceled() <-chan struct{}
	Reply(body []byte)
	ReplyOr(body []byte, unheard func())
	Refuse(err error)
}

// letter is what another node says, and how it is answered.
type letter struct {
	inquiry
	from, id string
	body     []byte
}

// opener makes a family known to its node. What other nodes say is handed to handle.
type opener func(spec cluster.RoomSpec, handle func(letter)) (node, port, error)

// openerOf opens a port at the node that the system is.
func openerOf(sys *penstock.System) opener {
	return func(spec cluster.RoomSpec, handle func(letter)) (node, port, error) {
		n, err := cluster.Here(sys)
		if err != nil {
			return nil, nil, err
		}
		spec.Handle = func(c *cluster.Call) { handle(letter{inquiry: c, from: c.From, id: c.ID, body: c.Body}) }
		p, err := n.Open(spec)
		if err != nil {
			return nil, nil, err
		}
		return n, p, nil
	}
}

// join makes the family reachable for other nodes.
func (f *Family) join(open opener) (*peers, error) {
	p := &peers{
		family: f, life: rand.Uint64(), ready: make(chan struct{}), parked: make(map[int]map[*entry]struct{}),
		asking: make(map[int]int), heard: make(map[string]*correspondent), absent: make(map[int]absence),
		longWay: newLongWay(),
	}
	p.seats.New = newSeat
	p.waits, p.end = context.WithCancelCause(context.Background())
	p.mu.Lock() // news may be quicker than what is told here
	defer p.mu.Unlock()
	var err error
	p.node, p.port, err = open(cluster.RoomSpec{
		Service: cluster.Buckets, Name: f.name,
		Gained: p.gained, Dropped: func(shard int, _ int64) { p.stir(shard) }, Members: p.members,
	}, p.hear)
	if err != nil {
		p.end(err)
		return nil, err
	}
	p.heritage = newHeritage(p.node.Name())
	p.desk = newDesk(f, p, f.cfg.Transit)
	return p, nil
}

// unjoin is for a family that could not be started.
func (f *Family) unjoin() error {
	if f.peers != nil {
		f.peers.close()
	}
	return nil
}

// close tells those who wait for other nodes that they need not, and has the family no longer reached.
func (p *peers) close() {
	p.end(penstock.ErrClosed)
	p.mu.Lock()
	p.closed = true
	if p.ticker != nil {
		p.ticker.Stop()
	}
	p.mu.Unlock()
	if p.desk != nil {
		p.desk.close()
	}
	p.port.Close()
}

// gained is told of a shard that has come to this node.
func (p *peers) gained(g cluster.Gain) {
	p.mu.Lock()
	p.heritage.gained(p.family.clock.Now(), g)
	p.mu.Unlock()
	p.stir(g.Shard)
}

func (p *peers) descent(shard int, epoch int64) (descent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heritage.descent(shard, epoch)
}

// members is told who the others are. What those have said who are gone is of no interest any more.
func (p *peers) members(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.heard {
		if !slices.Contains(names, name) {
			delete(p.heard, name)
		}
	}
	for name := range p.convoys.Range {
		if !slices.Contains(names, name.(string)) {
			p.convoys.Delete(name) // who is on the way comes back
		}
	}
}

// stir has the buckets of a shard at which somebody waits look at what has become of it.
func (p *peers) stir(shard int) {
	p.mu.Lock()
	var waiting []*entry
	for e := range p.parked[shard] {
		waiting = append(waiting, e)
	}
	p.mu.Unlock()
	for _, e := range waiting { // so the family has started
		p.family.children.Send(e, wake{})
	}
}

// park has the gate's bucket told of its shard from now on, for somebody waits. The gate is locked.
func (g *gate) park(e *entry) {
	if t := g.tenure; t != nil && !t.parked {
		t.parked = true
		p := g.handle.family.peers
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.parked[t.shard] == nil {
			p.parked[t.shard] = make(map[*entry]struct{})
		}
		p.parked[t.shard][e] = struct{}{}
	}
}

// unpark undoes that, if nobody waits any more. The gate is locked.
func (g *gate) unpark(e *entry) {
	if t := g.tenure; t != nil && t.parked && g.state.waiting() == 0 {
		t.parked = false
		p := g.handle.family.peers
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.parked[t.shard], e)
		if len(p.parked[t.shard]) == 0 {
			delete(p.parked, t.shard)
		}
	}
}

// remembers reports whether what was granted then is still known. The gate is locked.
func (g *gate) remembers(at time.Time) bool { return g.tenure == nil || !at.Before(g.tenure.since) }

// late reports whether a turn that was granted here so long ago must not be used any more: who has been stopped for a while may have lost
// the bucket.
func (p *peers) late(e *entry, age time.Duration) bool {
	_, mine := p.node.Epoch(e.Value.tenure.shard)
	return !mine || age > p.family.cfg.Transit
}

// owner is the name of the node that decides about an ID, if it is another one.
func (p *peers) owner(id string) string {
	shard := p.node.Shard(id)
	if _, mine := p.node.Epoch(shard); mine {
		return ""
	}
	if o, ok := p.node.Owner(shard); ok && o.Name != p.node.Name() {
		return o.Name
	}
	return ""
}

// remember notes rules whose plan is about to be changed: what was granted under it may still be corrected.
func (p *peers) remember(r *rules) {
	const most = 8
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.former) == most {
		p.former = p.former[1:]
	}
	p.former = append(p.former, r)
}

// planned are the rules with the plan of that version; nil if nobody remembers.
func (p *peers) planned(version uint64) *rules {
	if r := p.family.rules.Load(); r.planned == version {
		return r
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.former {
		if r.planned == version {
			return r
		}
	}
	return nil
}

// tell says something to another node, if it can be reached.
func (p *peers) tell(to string, w word) {
	body, err := w.wire()
	if err == nil {
		err = p.port.Tell(to, body)
	}
	if err != nil && p.family.logger.Enabled(context.Background(), slog.LevelDebug) {
		p.family.logger.LogAttrs(context.Background(), slog.LevelDebug, "another node was not told of a bucket", slog.String("to", to), slog.Any("err", err))
	}
}

// tellOwner says something to the owner of an ID, and reports false if this node is the owner.
func (p *peers) tellOwner(id string, w word) bool {
	shard := p.node.Shard(id)
	if _, mine := p.node.Epoch(shard); mine {
		return false
	}
	if o, ok := p.node.Owner(shard); ok && o.Name != p.node.Name() {
		p.tell(o.Name, w)
	}
	return true
}

// throttle tells all other nodes of a throttle of the family.
func (p *peers) throttle(until time.Time) {
	for _, name := range p.port.Members() {
		p.tell(name, word{throttle: &throttle{rest: p.rest(until)}})
	}
}

// throttleOwner tells the owner of an ID, and reports false if this node is.
func (p *peers) throttleOwner(id string, until time.Time) bool {
	if checkID(id) != nil {
		return true
	}
	return p.tellOwner(id, word{throttle: &throttle{id: id, rest: p.rest(until)}})
}

func (p *peers) rest(until time.Time) time.Duration { return max(until.Sub(p.family.clock.Now()), 0) }
