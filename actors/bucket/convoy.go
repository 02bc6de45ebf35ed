package bucket

import (
	"context"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/penstock-go/penstock/limit"
)

const (
	// convoySize is how many asks go together, and convoyBytes how long their texts may be, but for the last one's.
	convoySize  = 64
	convoyBytes = 16 << 10
	// convoys is how many are under way to an owner: what is asked meanwhile goes with the next. With one the line would be idle while it
	// comes back; with more each is shorter.
	convoys = 2
	// longWays is among how many places IDs are spread that have to be asked for alone.
	longWays = 512
)

// convoy takes to an owner what is asked of it at about the same time, for a message is not much dearer than one ask. It brings turns that are
// to be had at once. Who gets none asks alone: that is how requests wait in line, follow an ID that moves, and outlast an owner that is away.
type convoy struct {
	peers *peers
	to    string // a member

	mu       sync.Mutex
	line     []*seat
	underWay int
}

// seat is that of one who asks.
type seat struct {
	id      string
	request Request
	fate    atomic.Uint32 // as a waiter's
	turn    chan *grant   // room for the one answer; nil: there is none to be had at once
}

func newSeat() any { return &seat{turn: make(chan *grant, 1)} }

// longWay notes for whose ID there was no turn to be had at once lately: who asks for it does so alone. IDs share places.
type longWay struct {
	seed  maphash.Seed
	until [longWays]atomic.Int64 // by the node's clock
}

func newLongWay() longWay { return longWay{seed: maphash.MakeSeed()} }

func (w *longWay) of(id string) *atomic.Int64 { return &w.until[maphash.String(w.seed, id)%longWays] }

// rideAlong asks a member for a turn, together with others. nil: it is to be asked for alone.
func (p *peers) rideAlong(ctx context.Context, to, id string, r *Request) (turn *grant) {
	if r.Costs != nil || int64(p.node.Clock()) < p.longWay.of(id).Load() {
		return nil
	}
	s := p.seats.Get().(*seat)
	s.id, s.request = id, *r
	s.fate.Store(undecided)
	p.convoy(to).join(s)
	select {
	case turn = <-s.turn:
	case <-ctx.Done():
		if s.fate.CompareAndSwap(undecided, abandoned) {
			return nil // the convoy has the seat, and gives back what it brings for it
		}
		turn = <-s.turn // it was quicker
	}
	s.request = Request{}
	p.seats.Put(s)
	return turn
}

func (p *peers) convoy(to string) *convoy {
	if c, ok := p.convoys.Load(to); ok {
		return c.(*convoy)
	}
	c, _ := p.convoys.LoadOrStore(to, &convoy{peers: p, to: to})
	return c.(*convoy)
}

func (c *convoy) join(s *seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = append(c.line, s)
	if c.underWay < convoys {
		c.underWay++
		go c.drive()
	}
}

// drive goes to and fro for as long as somebody stands in line.
func (c *convoy) drive() {
	var seats []*seat
	for {
		runtime.Gosched() // those who have just got their turns are about to ask again
		var more bool
		if seats, more = c.board(seats[:0]); !more {
			return
		}
		c.carry(seats)
	}
}

// board takes those who go together. false: nobody stood in line, and the convoy has ended.
func (c *convoy) board(into []*seat) ([]*seat, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) == 0 {
		c.underWay--
		return nil, false
	}
	bytes, n := 0, 0
	for ; n < len(c.line) && len(into) < convoySize && bytes < convoyBytes; n++ {
		if s := c.line[n]; s.fate.Load() == undecided { // else its caller is gone
			bytes += len(s.id) + len(s.request.Flow)
			into = append(into, s)
		}
	}
	left := copy(c.line, c.line[n:])
	clear(c.line[left:])
	c.line = c.line[:left]
	return into, true
}

// carry asks for all of them, and hands out what comes.
func (c *convoy) carry(seats []*seat) {
	if len(seats) == 0 {
		return
	}
	p := c.peers
	turns := make([]*grant, len(seats)) // none, unless there is an answer
	if body, err := p.port.AskMember(p.waits, c.to, asksWire(p.beat(), seats)); err == nil {
		if got, err := readTurns(body, len(seats)); err == nil {
			turns = got
		} else {
			p.misheard(c.to, err)
		}
	}
	for i, s := range seats {
		turn := turns[i]
		if turn != nil {
			turn.peers, turn.id = p, s.id
		} else {
			p.longWay.of(s.id).Store(int64(p.node.Clock() + p.family.cfg.Transit))
		}
		switch {
		case s.fate.CompareAndSwap(undecided, answered):
			s.turn <- turn
		case turn != nil:
			turn.giveBack()
		}
	}
}

// turns answers those who ask together. If nobody hears it, it costs nothing.
func (p *peers) turns(l letter, c *correspondent, asks []askFor) {
	newest := *c.newest.Load() // before a gate reads the clock: see serve
	turns := make([]turn, len(asks))
	for i := range asks {
		if t := &turns[i]; p.atOnce(&asks[i], t) {
			t.grant = p.grantOf(&t.permit, t.epoch)
		}
	}
	l.ReplyOr(turnsWire(newest, turns), func() {
		for i := range turns {
			if t := &turns[i]; t.granted {
				t.permit.entry.Value.undo(&t.permit)
			}
		}
	})
}

// turn is what becomes of one of several asks.
type turn struct {
	granted bool
	grant
	permit Permit
}

// atOnce has a request of another node go, if it need not wait and there is nothing wrong with it.
func (p *peers) atOnce(a *askFor, into *turn) bool {
	b := p.family.Bucket(a.id)
	for {
		rules, e, err := b.live()
		if err != nil {
			return false
		}
		var own limit.Costs
		costs, err := rules.price(&a.request, &own)
		if err != nil {
			return false
		}
		switch e.Value.grab(e, rules, a.request.Nice, costs, into) {
		case gone:
			b.lose(e)
		case stale:
		default:
			return into.granted
		}
	}
}
