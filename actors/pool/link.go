package pool

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

// link is how the pools of one name on several nodes reach one another.
type link struct {
	name   string
	node   string // this one
	port   port
	served atomic.Pointer[Pool] // this node's; nil if it has none
	users  int                  // guarded by the links' mutex
}

// links are those of a system, by the pools' names.
type links struct {
	open   opener
	mu     sync.Mutex
	byName map[string]*link
}

// port is what is used of a [cluster.Port].
type port interface {
	AskMemberOnce(ctx context.Context, member string, body []byte) ([]byte, error)
	Close()
}

// caller is what is used of a [cluster.Call].
type caller interface {
	Canceled() <-chan struct{}
	Reply(body []byte)
}

// opener makes the pools of a name known to the system's node.
type opener func(name string, hear func(from string, body []byte, c caller)) (node string, p port, err error)

// openerOf opens ports at the node that the system is.
func openerOf(sys *penstock.System) opener {
	return func(name string, hear func(from string, body []byte, c caller)) (string, port, error) {
		n := cluster.Of(sys)
		if n == nil {
			return "", nil, fmt.Errorf("%w: it is for other nodes, or of another one, but the system is no node of a cluster: call cluster.Join first", penstock.ErrInvalid)
		}
		p, err := n.Open(cluster.RoomSpec{
			Service: cluster.Pools, Name: name,
			Handle: func(c *cluster.Call) { hear(c.From, c.Body, c) },
		})
		return n.Name(), p, err
	}
}

// enter links a pool to its like: one of another node, or one of this node that others may reach.
func (ls *links) enter(p *Pool) (err error) {
	name := p.name
	if p.member != "" {
		name = p.there
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.byName[name]
	if l == nil {
		l = &link{name: name}
		if l.node, l.port, err = ls.open(name, l.hear); err != nil {
			return err
		}
		if ls.byName == nil {
			ls.byName = make(map[string]*link)
		}
		ls.byName[name] = l
	}
	l.users++
	if l.node == p.member {
		ls.release(l)
		return fmt.Errorf("%w: node %q is this one; it takes the name of another", penstock.ErrInvalid, p.member)
	}
	p.link = l
	return nil
}

// leave unlinks a pool.
func (ls *links) leave(p *Pool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if p.link != nil {
		p.link.served.CompareAndSwap(p, nil)
		ls.release(p.link)
	}
}

func (ls *links) release(l *link) {
	if l.users--; l.users == 0 {
		l.port.Close()
		delete(ls.byName, l.name)
	}
}
