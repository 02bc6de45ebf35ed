package queue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/supervisor"
)

// peers is the way of a system's clustered regulators to those of the same names on other nodes.
type peers struct {
	room   *room
	node   node
	port   port
	life   uint64        // of what this node says of regulators that it has not got
	rounds atomic.Uint64 // how often it became an owner
	start  time.Time
	slept  atomic.Int64 // how long the machine did
}

// node is what is used of a [cluster.Node].
type node interface {
	Name() string
	Shard(id string) int
	Epoch(shard int) (epoch int64, mine bool)
	Owner(shard int) (cluster.Owner, bool)
	Left() time.Duration // of its lease, by its own clock
}

// port is what is used of a [cluster.Port].
type port interface {
	Tell(member string, body []byte) error
	Members() []string
	Close()
}

// opener makes the system's queues known to its node.
type opener func(cluster.RoomSpec) (node, port, error)

// openerOf opens a port at the node that the system is.
func openerOf(sys *penstock.System) opener {
	return func(spec cluster.RoomSpec) (node, port, error) {
		n, err := cluster.Here(sys)
		if err != nil {
			return nil, nil, err
		}
		p, err := n.Open(spec)
		if err != nil {
			return nil, nil, err
		}
		return n, p, nil
	}
}

// join makes the room reachable for other nodes, once. The room is locked.
func (m *room) join() (*peers, error) {
	if p := m.peers.Load(); p != nil {
		return p, nil
	}
	p := &peers{room: m, life: rand.Uint64(), start: time.Now()}
	var err error
	p.node, p.port, err = m.open(cluster.RoomSpec{
		Service: cluster.Queues, Name: "queues",
		Handle:  func(c *cluster.Call) { p.hear(c.From, c.Body) },
		Gained:  func(g cluster.Gain) { p.look(g.Shard) },
		Dropped: func(shard int, _ int64) { p.look(shard) },
		Members: func([]string) { p.look(allShards) },
	})
	if err != nil {
		return nil, err
	}
	m.peers.Store(p)
	return p, nil
}

// leave gives up what other nodes have lent, and is no longer reachable.
func (m *room) leave() {
	p := m.peers.Load()
	if p == nil {
		return
	}
	for _, of := range []familyOf{rates, counters} {
		for e := range of(m).All() {
			if d := e.Value.desk; d != nil {
				d.goodbye()
			}
		}
	}
	p.port.Close()
}

// now is the time, with what the machine slept. Nobody may go on with what was lent before a sleep, and the clock that queues read stands
// still then.
func (p *peers) now() time.Time {
	now := time.Now()
	awake := now.Sub(p.start)
	slept := int64(now.Round(0).Sub(p.start.Round(0)) - awake)
	for {
		was := p.slept.Load()
		if slept <= was+int64(sleepLeast) || p.slept.CompareAndSwap(was, slept) {
			return p.start.Add(awake + time.Duration(max(was, slept)))
		}
	}
}

// sleepLeast is how far the wall clock must be ahead to mean that the machine slept, and was not set a bit.
const sleepLeast = 100 * time.Millisecond

const allShards = -1

// look has the regulators of a shard look at what has become of it.
func (p *peers) look(shard int) {
	for _, of := range []familyOf{rates, counters} {
		family := of(p.room)
		for e := range family.All() {
			if d := e.Value.desk; d != nil && (d.shard == shard || shard == allShards) {
				family.Send(e, look{})
			}
		}
	}
}

func (p *peers) family(paced bool) *supervisor.Family[string, shared] {
	if paced {
		return p.room.rates
	}
	return p.room.counters
}

// hear passes on what another node says.
func (p *peers) hear(from string, body []byte) {
	w, err := readWord(from, body)
	if err != nil {
		p.room.logger.LogAttrs(context.Background(), slog.LevelWarn, "what another node said of queues is not understood",
			slog.String("from", from), slog.Any("err", err))
		return
	}
	family := p.family(w.paced)
	switch e, ok := family.Lookup(w.name); {
	case ok && e.Value.desk != nil:
		family.Send(e, w)
	case w.loan != nil: // so that nobody waits for what this node has of it
		gone := &report{life: p.life, number: 1, epoch: w.loan.epoch, loan: w.loan.number, gone: true}
		p.tell(from, word{paced: w.paced, name: w.name, report: gone})
	}
}

// tell says something to another node.
func (p *peers) tell(to string, w word) {
	body, err := w.wire()
	if err == nil {
		err = p.port.Tell(to, body)
	}
	if err != nil {
		p.room.logger.LogAttrs(context.Background(), slog.LevelDebug, "another node was not told of a regulator; it will be told again",
			slog.String("to", to), slog.String("regulator", w.name), slog.Any("err", err))
	}
}

// desk is where a clustered regulator is lent out, if this node owns it, and borrowed. Its actor alone uses it, but for what never changes.
type desk struct {
	peers  *peers
	shared *shared
	paced  bool
	name   string
	shard  int

	epoch  int64   // of the ownership that the following is about; 0: another node owns it
	lender *lender // of a counter
	issuer *issuer // of a rate
}

func (p *peers) desk(s *shared, paced bool, name string) *desk {
	id := "counter/" + name
	if paced {
		id = "rate/" + name
	}
	return &desk{peers: p, shared: s, paced: paced, name: name, shard: p.node.Shard(id)}
}

// stir has the regulator's actor look whether there is something to say.
func (d *desk) stir() {
	family := d.peers.family(d.paced)
	if e, ok := family.Lookup(d.name); ok {
		family.Send(e, look{})
	}
}

// hear takes in what another node says.
func (d *desk) hear(now time.Time, w word) {
	switch {
	case w.loan != nil:
		d.takeIn(now, *w.loan)
	case d.own(now):
		d.report(now, w.from, *w.report)
	}
}

// own finds out whether this node owns the regulator, and begins anew as an owner if it has come to.
func (d *desk) own(now time.Time) bool {
	epoch, mine := d.peers.node.Epoch(d.shard)
	switch {
	case !mine:
		d.epoch, d.lender, d.issuer = 0, nil, nil
	case d.epoch == epoch:
	case d.paced:
		d.epoch, d.issuer = epoch, newIssuer(now, epoch, d.peers.rounds.Add(1), d.shared.inForce())
	default:
		d.epoch, d.lender = epoch, newLender(now, epoch, d.peers.rounds.Add(1), d.members())
	}
	return mine
}

// members are all nodes, this one too.
func (d *desk) members() []string {
	return append(slices.Clone(d.peers.port.Members()), d.peers.node.Name())
}

func (d *desk) report(now time.Time, from string, r report) {
	if d.paced {
		d.issuer.report(now, from, r)
	} else {
		d.lender.report(now, from, r)
	}
}

// advance says and lends what is due, and returns how long until there is more to do.
func (d *desk) advance(now time.Time) (next time.Duration) {
	me := d.peers.node.Name()
	for {
		mine := d.own(now)
		r, ok, wait := d.say(now)
		next = wait
		switch {
		case !ok:
		case mine:
			d.report(now, me, r)
		default:
			if o, known := d.peers.node.Owner(d.shard); known && o.Name != me {
				d.peers.tell(o.Name, d.word(word{report: &r}))
			}
		}
		again := ok
		if mine {
			out, wait := d.lend(now)
			next = min(next, wait)
			for _, l := range out {
				if l.to == me {
					d.takeIn(now, l.loan)
					again = true
				} else {
					d.peers.tell(l.to, d.word(word{loan: &l.loan}))
				}
			}
		}
		if !again {
			return next
		}
	}
}

func (d *desk) word(w word) word {
	w.paced, w.name = d.paced, d.name
	return w
}

// lend is what the owner does.
func (d *desk) lend(now time.Time) (out []letter, next time.Duration) {
	if d.paced {
		return d.issuer.advance(now, d.shared.inForce())
	}
	d.lender.members(d.members())
	return d.lender.advance(now, int(d.shared.inForce()))
}

// say is what the owner is to hear.
func (d *desk) say(now time.Time) (r report, ok bool, next time.Duration) {
	s := d.shared
	s.mu.Lock()
	r, ok, next = s.acct.report(now)
	s.acct.loan.woken = false
	changed, wait := s.acct.judge(now)
	s.mu.Unlock()
	if changed {
		s.wakeUsers()
	}
	return r, ok, min(next, wait)
}

// takeIn takes in what the owner says.
func (d *desk) takeIn(now time.Time, l loan) {
	s := d.shared
	left := time.Duration(0)
	if !d.paced {
		left = d.peers.node.Left()
	}
	s.mu.Lock()
	more := s.acct.takeIn(now, l, left)
	changed, _ := s.acct.judge(now)
	s.mu.Unlock()
	if more || changed {
		s.wakeUsers()
	}
}

// goodbye gives everything up.
func (d *desk) goodbye() {
	s := d.shared
	s.mu.Lock()
	r := s.acct.farewell()
	s.mu.Unlock()
	if o, known := d.peers.node.Owner(d.shard); known && o.Name != d.peers.node.Name() && r.epoch != 0 {
		d.peers.tell(o.Name, d.word(word{report: &r}))
	}
}
