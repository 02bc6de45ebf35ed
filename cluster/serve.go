package cluster

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster/internal/transport"
	"github.com/penstock-go/penstock/messages"
)

// Call is what a room of another node asks or tells.
type Call struct {
	From     string    // the other node's name, as it says
	ID       string    // what it is about, which this node has just owned; empty if the node is asked
	Epoch    int64     // under which the node owns it
	Deadline time.Time // when nobody waits for the answer any more; zero if somebody always does
	Body     []byte    // the room's to keep

	node    *Node
	shard   int
	request *transport.Request
	reply   func(kind uint32, payload []byte)
}

// Canceled is closed when nobody waits for the answer any more.
func (c *Call) Canceled() <-chan struct{} { return c.request.Canceled() }

// Reply answers. What is said after the first answer is not heard, nor is an answer to what was told and not asked.
func (c *Call) Reply(body []byte) { c.reply(kindDone, body) }

// ReplyOr is Reply, and has unheard called on a goroutine of its own if it turns out that nobody gets the answer: the caller gave up before it
// came, or it was lost and is not asked for again. It is not called if the other node, or this one, has come to its end.
func (c *Call) ReplyOr(body []byte, unheard func()) { c.request.ReplyOr(kindDone, body, unheard) }

// Refuse answers with an error: with [ErrMoved], the new owner is asked; of any other, the class and the text arrive as a [RemoteError].
func (c *Call) Refuse(err error) {
	if errors.Is(err, ErrMoved) {
		c.node.moved(c.shard, c.reply)
		return
	}
	c.node.refuse(err, c.reply)
}

// refuse answers with an error.
func (n *Node) refuse(err error, reply func(kind uint32, payload []byte)) {
	payload, _ := proto.Marshal(&messages.RoomError{Class: classOf(err), Text: strings.ToValidUTF8(err.Error(), "?")})
	reply(kindRefused, payload)
}

// moved tells who owns a shard, if it is somebody else.
func (n *Node) moved(shard int, reply func(kind uint32, payload []byte)) {
	var m messages.NotOwner
	if o := n.routes.Load().owner(shard); o.Name != n.name {
		m = messages.NotOwner{Name: o.Name, Address: o.Address, Epoch: o.Epoch}
	}
	payload, _ := proto.Marshal(&m)
	reply(kindMoved, payload)
}

// handle answers what another node asks.
func (n *Node) handle(r *transport.Request, reply func(kind uint32, payload []byte)) {
	switch r.Kind {
	case kindOwned:
		n.hear(r.Payload)
		return
	case kindAsk, kindTell:
	default:
		n.refuse(fmt.Errorf("%w request: this version knows none of kind %d", penstock.ErrInvalid, r.Kind), reply)
		return
	}
	w, err := readRoomCall(r.Payload)
	if err != nil {
		n.refuse(fmt.Errorf("%w request: %w", penstock.ErrInvalid, err), reply)
		return
	}
	n.mu.Lock()
	p := n.ports[place{w.service, string(w.room)}]
	n.mu.Unlock()
	if p == nil {
		reply(kindNoRoom, nil)
		return
	}
	c := &Call{From: n.routes.Load().name(w.from), ID: string(w.id), Deadline: r.Deadline, Body: w.body, node: n, request: r, reply: reply}
	if c.ID != "" {
		c.shard = n.Shard(c.ID)
		epoch, mine := n.Epoch(c.shard)
		if !mine || uint64(epoch) < r.Epoch { // somebody has seen a later owner
			n.moved(c.shard, reply)
			return
		}
		c.Epoch = epoch
	}
	p.handle(c)
}

func (p *Port) handle(c *Call) {
	defer func() {
		if reason := recover(); reason != nil {
			p.node.logger.Error("a room panicked at a call of another node", "room", p.spec.Name, "from", c.From, "panic", reason, "stack", string(debug.Stack()))
			p.node.refuse(&penstock.PanicError{Value: reason}, c.reply)
		}
	}()
	p.spec.Handle(c)
}

// hear takes in that another node has come to own shards. It changes where calls go and nothing else: who gets one decides itself.
func (n *Node) hear(payload []byte) {
	m := new(messages.Owned)
	if err := proto.Unmarshal(payload, m); err != nil || m.GetName() == n.name {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := indexOf(n.state.view.Members, m.GetName()); i < 0 || n.state.view.Members[i].Address != m.GetAddress() {
		return
	}
	for _, s := range m.GetShards() {
		n.state.hear(int(s.GetNumber()), Owner{Name: m.GetName(), Address: m.GetAddress(), Epoch: s.GetEpoch()})
	}
	n.route()
}

// announce tells the others that shards have come to this node. The mutex is held.
func (n *Node) announce(shards []*messages.OwnedShard) {
	if n.wire == nil || len(shards) == 0 {
		return
	}
	payload, err := proto.Marshal(&messages.Owned{Name: n.name, Address: n.state.me.Address, Shards: shards})
	if err != nil {
		return
	}
	for _, m := range n.state.view.Members {
		if m.Name != n.name {
			_ = n.wire.Send(m.Address, kindOwned, 0, payload) // it will learn it from the store otherwise
		}
	}
}
