package bucket

import (
	"sync"
	"time"
)

// desk is where the buckets of a family that lend, or are lent, are looked at together at regular times: what there is to say to a node goes in
// one message.
type desk struct {
	family *Family
	link   link
	life   time.Duration // of a slice

	mu     sync.Mutex
	listed map[*entry]struct{}
	timer  *time.Timer // nil unless a look is to come
	closed bool

	counted struct {
		since    time.Duration
		requests map[string]int // by ID
	}
}

// link is a family's way to its like on other nodes.
type link interface {
	name() string         // of this node
	lifeNumber() uint64   // of its, a random number
	clock() time.Duration // this node's, which goes on while the process is stopped or the machine sleeps
	// serves reports whether this node owns the bucket and knows what its limits have left, and under which epoch
	serves(g *gate, now time.Time) (epoch int64, ok bool)
	ownerOf(g *gate) (name string, known bool)
	tell(to string, w word)
}

func newDesk(f *Family, to link, life time.Duration) *desk {
	d := &desk{family: f, link: to, life: life, listed: make(map[*entry]struct{})}
	d.counted.requests = make(map[string]int)
	return d
}

// list has a bucket looked at from now on. Its gate is locked.
func (d *desk) list(e *entry) {
	e.Value.tenure.lending.listed = true
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.listed[e] = struct{}{}
	if d.timer == nil { // the first look is at once: somebody has been refused
		d.timer = time.AfterFunc(0, d.look)
	}
}

// take lets a plain request go by what this node was lent, if there is any, and says how much more there is. It never waits and allocates
// nothing. It returns the slice, which only the gate's lock lets anybody change, and nil if the request has to go the whole way.
func (d *desk) take(e *entry, r *rules, nice int) (from *slice, left int) {
	if !r.lends(nice) {
		return nil, 0
	}
	g := &e.Value
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tenure.lending == nil || g.state.rules != r {
		return nil, 0
	}
	if b := g.state.backlog; b != nil && b.throttled && g.state.held(d.family.now(r)) > 0 {
		return nil, 0
	}
	// The clock under the lock: whoever waited for that has not got younger.
	if from = g.state.takeLent(g.tenure.lending, d.link.clock()); from != nil {
		left = int(from.left)
	}
	return from, left
}

// miss notes a plain request for which there was nothing: this node asks for more.
func (d *desk) miss(e *entry, r *rules, nice int) {
	if !r.lends(nice) {
		return
	}
	g := &e.Value
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.rules == nil {
		return
	}
	l := g.lends()
	l.purse.miss()
	if !l.listed {
		d.list(e)
	}
}

// frequent is how many requests that can wait for the owner's answer, within the life of a slice, are a reason to be lent some.
const frequent = 4

// often notes a request that asks the owner, and reports whether that happens often.
func (d *desk) often(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.link.clock(); now-d.counted.since >= d.life {
		d.counted.since = now
		clear(d.counted.requests)
	}
	d.counted.requests[id]++
	return d.counted.requests[id] >= frequent
}

// close ends the looks.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	clear(d.listed)
	if d.timer != nil {
		d.timer.Stop()
	}
}

// all are the buckets to look at.
func (d *desk) all() []*entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries := make([]*entry, 0, len(d.listed))
	for e := range d.listed {
		entries = append(entries, e)
	}
	return entries
}

// again arranges for the next look, if there is anything to look at.
func (d *desk) again() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
	case len(d.listed) == 0:
		d.timer = nil
	default:
		d.timer.Reset(d.life / looks)
	}
}

// strike takes a bucket off the list. Its gate is locked.
func (d *desk) strike(e *entry) {
	e.Value.tenure.lending.listed = false
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.listed, e)
}

// mail is what there is to say, by the node that it is for.
type mail struct {
	wants  map[string]*wants
	slices map[string][]lentSlice
}

func newMail() mail { return mail{make(map[string]*wants), make(map[string][]lentSlice)} }

func (m *mail) of(node string) *wants {
	w := m.wants[node]
	if w == nil {
		w = new(wants)
		m.wants[node] = w
	}
	return w
}

// look is the look at all of them.
func (d *desk) look() {
	m := newMail()
	for _, e := range d.all() {
		d.lookAt(e, &m)
	}
	d.post(&m)
	d.again()
}

// lookAt works out what is wanted, given back and lent at one bucket.
func (d *desk) lookAt(e *entry, m *mail) {
	g := &e.Value
	now, ok := g.enter(d.family.rules.Load())
	if !ok {
		d.mu.Lock()
		delete(d.listed, e)
		d.mu.Unlock()
		return
	}
	defer g.leave(e) // what was given back may be for those who wait
	s, l, clock := &g.state, g.tenure.lending, d.link.clock()
	if l.purse.asked > 0 {
		s.use(now.Sub(s.rules.epoch))
	}
	me := d.link.name()
	epoch, mine := d.link.serves(g, now)
	if l.lender != nil && (!mine || l.lender.epoch != epoch) {
		l.lender = nil
	}
	want, back, done := l.purse.look(clock, d.life)
	for _, r := range back {
		if r.owner == me {
			s.repaid(l.lender, now, s.rules.epoch, me, r)
		} else {
			w := m.of(r.owner)
			w.returns = append(w.returns, returned{e.Key(), r})
		}
	}
	switch {
	case mine && l.lender != nil:
		if !l.lender.alone(me) || want > 0 {
			l.lender.ask(now.Sub(s.rules.epoch), me, want, l.purse.rate(d.life), l.purse.last.number, d.link.lifeNumber(), clock)
		}
		d.lend(e, now, clock, m)
		done = l.lender.idle(now.Sub(s.rules.epoch))
		if done {
			l.lender = nil
		}
	case !mine && !done:
		if owner, known := d.link.ownerOf(g); known && owner != me {
			w := m.of(owner)
			w.wishes = append(w.wishes, wish{e.Key(), want, l.purse.rate(d.life), l.purse.last.epoch, l.purse.last.number})
		}
	}
	if done || mine && l.lender == nil {
		d.strike(e)
	}
}

// lend shares out what there is of a bucket of this node's. Its gate is locked.
func (d *desk) lend(e *entry, now time.Time, clock time.Duration, m *mail) {
	s, l := &e.Value.state, e.Value.tenure.lending
	me := d.link.name()
	for _, out := range s.lend(l.lender, now, now.Sub(s.rules.epoch)) {
		e.Value.tenure.lent += uint64(out.n)
		if out.to == me {
			l.purse.put(d.slice(e.Key(), me, s.rules, &out))
		} else {
			m.slices[out.to] = append(m.slices[out.to], lentSlice{e.Key(), out})
		}
	}
	if l.lender.contested(now.Sub(s.rules.epoch)) {
		l.short = clock + d.life
	}
}

// slice is a loan that has come.
func (d *desk) slice(id, owner string, r *rules, l *loan) *slice {
	return &slice{
		owner: owner, epoch: l.epoch, number: l.number, at: l.at, until: l.stamp + d.life, left: l.n,
		grant: &grant{epoch: l.epoch, at: l.at, plan: l.plan, costs: r.one, peers: d.family.peers, id: id},
	}
}

// post sends what there is to say. What is lost stays charged, or is said again.
func (d *desk) post(m *mail) {
	for to, w := range m.wants {
		w.life, w.stamp = d.link.lifeNumber(), d.link.clock()
		d.link.tell(to, word{wants: w})
	}
	for to, lent := range m.slices {
		d.link.tell(to, word{lent: lent})
	}
}

// hearWants lends what another node wants, at once if there is enough for all.
func (d *desk) hearWants(from string, w wants) {
	m := newMail()
	for _, r := range w.returns {
		e, ok := d.family.children.Lookup(r.id)
		if !ok {
			continue
		}
		if now, ok := e.Value.enter(d.family.rules.Load()); ok {
			if l := e.Value.tenure.lending; l != nil {
				e.Value.state.repaid(l.lender, now, e.Value.state.rules.epoch, from, r.repayment)
			}
			e.Value.leave(e)
		}
	}
	for _, of := range w.wishes {
		d.hearWish(from, of, &w, &m)
	}
	d.post(&m)
}

func (d *desk) hearWish(from string, of wish, w *wants, m *mail) {
	b := d.family.Bucket(of.id)
	r, e, err := b.live()
	if err != nil || d.family.cfg.Shadow {
		return
	}
	g := &e.Value
	now, ok := g.enter(r)
	if !ok {
		b.lose(e)
		return // it will be said again
	}
	defer g.mu.Unlock()
	epoch, mine := d.link.serves(g, now)
	if !mine {
		return
	}
	s, l := &g.state, g.lends()
	elapsed := now.Sub(s.rules.epoch)
	if l.lender == nil || l.lender.epoch != epoch {
		l.lender = &lender{epoch: epoch, life: d.life}
	}
	if of.epoch != epoch {
		of.seen = 0
	}
	if !l.lender.ask(elapsed, from, of.want, of.rate, of.seen, w.life, w.stamp) {
		return
	}
	if !l.lender.on { // else it is the next look that shares out
		d.lend(e, now, d.link.clock(), m)
	}
	if !l.listed {
		d.list(e)
	}
}

// hearSlices takes in what this node is lent. What has come too late is given back at the next look.
func (d *desk) hearSlices(from string, lent []lentSlice) {
	for _, of := range lent {
		e, ok := d.family.children.Lookup(of.id)
		if !ok || of.life != d.link.lifeNumber() {
			continue // it stays charged
		}
		g := &e.Value
		if _, ok := g.enter(d.family.rules.Load()); !ok {
			continue
		}
		l := g.lends()
		l.purse.put(d.slice(of.id, from, g.state.rules, &of.loan))
		if !l.listed {
			d.list(e)
		}
		g.mu.Unlock()
	}
}

// lends is the bucket's lending, made if there is none. The gate is locked.
func (g *gate) lends() *lending {
	if g.tenure.lending == nil {
		g.tenure.lending = new(lending)
	}
	return g.tenure.lending
}

// What the desk needs of the peers.
func (p *peers) name() string         { return p.node.Name() }
func (p *peers) lifeNumber() uint64   { return p.life }
func (p *peers) clock() time.Duration { return p.node.Clock() }

func (p *peers) serves(g *gate, now time.Time) (epoch int64, ok bool) {
	ok = g.footing(now) == owned
	return g.tenure.epoch, ok
}

func (p *peers) ownerOf(g *gate) (name string, known bool) {
	o, known := p.node.Owner(g.tenure.shard)
	return o.Name, known
}
