package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// room is what a system has of a cluster: its node, which is one at most.
type room struct {
	supervisor.Room[*Node]
}

// theNode is the name of the room's one member.
const theNode = "node"

func newRoom(sys *penstock.System) (*room, error) {
	r := new(room)
	err := r.Open(sys.Tree(), supervisor.RoomSpec[*Node]{
		Kind:    "cluster",
		Name:    "node",
		Advance: (*Node).advance,
		End:     (*Node).ended,
		Drain:   r.drain,
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return r, nil
}

// drain has the node leave before its actor is stopped.
func (r *room) drain(ctx context.Context) error {
	for _, n := range r.All() {
		if err := n.Leave(ctx); err != nil {
			return err
		}
	}
	return nil
}

// advance is the actor's look: it has the next call to the store made, on a goroutine of its own.
func (n *Node) advance() (again time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.own.now()
	do, at := n.state.next(now)
	switch {
	case do != nothing:
		n.state.begin(do)
		n.mirror()
		go n.call(do, n.state.me, n.state.take, n.state.give)
		return supervisor.Never
	case at == forever:
		return supervisor.Never
	}
	return max(at-now, time.Millisecond)
}

// ended is told that nothing looks after the node any more: it has left, or the system has closed.
func (n *Node) ended(reason error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.goodbye()
	n.state.left()
	n.mirror()
	n.over(reason)
}
