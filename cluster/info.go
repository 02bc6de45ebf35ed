package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/penstock-go/penstock/messages"
)

// Event is something that became of a node or a shard.
type Event struct {
	Kind  EventKind
	Shard int   // of Gained and Dropped
	Epoch int64 // likewise
}

// EventKind says what has happened.
type EventKind uint8

const (
	Gained  EventKind = iota + 1 // the node owns the shard
	Dropped                      // the node no longer owns it
	Joined                       // the node has a lease
	Lost                         // its lease ended before it was renewed: somebody else may own what it owned
)

// Info is what a node can tell.
type Info struct {
	Name        string
	Address     string
	Incarnation string        // of this life; a new one after each lost lease
	Serving     bool          // the lease lives
	Left        time.Duration // of the lease, less the margin; 0 if it is over
	Members     []MemberInfo  // as they were when the lease was renewed last
	Owned       int           // shards of this node
	Shards      int           // of the cluster
	Unowned     int           // shards that nobody owned then
	Lost        int           // leases that ended before they were renewed
	Err         error         // why the store's last answer was none; nil if it is there
	Since       time.Duration // how long ago the store was there last
}

// MemberInfo is what a node knows of a member.
type MemberInfo struct {
	Name    string
	Address string
	Owned   int // shards
}

// Left is for how long the node's lease lives still, less the margin; 0 if it is over. It is quick: see [Info] for the rest.
func (n *Node) Left() time.Duration {
	return max(max(time.Duration(n.own.until.Load()), 0)-n.own.now(), 0)
}

// Info tells the state of things.
func (n *Node) Info() Info {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, s := n.own.now(), n.state
	i := Info{
		Name: n.name, Address: s.me.Address, Incarnation: s.me.Incarnation, Serving: s.serves(now), Owned: len(s.epochs),
		Shards: n.cfg.Shards, Unowned: n.cfg.Shards - len(s.view.Shards), Lost: s.lost, Err: s.err, Since: now - s.since,
	}
	if i.Serving {
		i.Left = n.Left()
	}
	owned := make(map[string]int)
	for _, shard := range s.view.Shards {
		owned[shard.Owner]++
	}
	for _, m := range s.view.Members {
		i.Members = append(i.Members, MemberInfo{Name: m.Name, Address: m.Address, Owned: owned[m.Name]})
	}
	return i
}

// mirror shows callers what the state is now. What is no longer owned goes first, and the lease before what is new: see
// [ownership]. The mutex is held.
func (n *Node) mirror() {
	s := n.state
	for i := range n.own.epochs {
		if was := n.own.epochs[i].Load(); was != 0 && was != s.epochs[i] {
			n.own.epochs[i].Store(0)
			n.tell(Event{Kind: Dropped, Shard: i, Epoch: was})
			for _, p := range n.ports {
				p.tellDropped(i, was)
			}
		}
	}
	n.own.until.Store(int64(s.until))
	var gained []*messages.OwnedShard
	for i, epoch := range s.epochs {
		if n.own.epochs[i].Load() != epoch {
			n.own.epochs[i].Store(epoch)
			gained = append(gained, &messages.OwnedShard{Number: uint32(i), Epoch: epoch})
			n.tell(Event{Kind: Gained, Shard: i, Epoch: epoch})
			for _, p := range n.ports {
				p.tellGained(Gain{Shard: i, Epoch: epoch, From: s.gained[i].from})
			}
		}
	}
	n.route()
	n.announce(gained)
}

func (n *Node) tell(e Event) {
	if n.feed.Wanted() {
		n.feed.Publish(e)
	}
}

// over ends the node for good. The mutex is held.
func (n *Node) over(reason error) {
	if n.leaves() {
		return
	}
	n.reason = reason
	n.end()
	n.feed.Close()
	n.metrics.close()
	close(n.left)
	if n.wire == nil {
		close(n.done)
		return
	}
	go n.hangUp()
}

// leaves reports whether the node is no member any more and will be none. The mutex is held.
func (n *Node) leaves() bool {
	select {
	case <-n.left:
		return true
	default:
		return false
	}
}

// hangUp ends what connects the node with the others, which have half a lease to ask what its rooms know of what they now own.
func (n *Node) hangUp() {
	defer close(n.done)
	n.mu.Lock()
	linger := len(n.ports) > 0 && n.company
	n.mu.Unlock()
	if linger {
		time.Sleep(n.cfg.Lease / 2)
	}
	n.mu.Lock()
	ports := slices.Collect(maps.Values(n.ports))
	n.mu.Unlock()
	for _, p := range ports {
		p.Close()
	}
	_ = n.wire.Close(context.Background())
}

// parting has the link to a node that is no member ended in a lease: nobody would ever do it otherwise.
func (n *Node) parting(address string) {
	if _, known := n.partings.LoadOrStore(address, true); known {
		return
	}
	time.AfterFunc(n.cfg.Lease, func() {
		n.partings.Delete(address)
		back := slices.ContainsFunc(n.routes.Load().members, func(m Owner) bool { return m.Address == address })
		if !back && !n.isDone() {
			n.wire.Forget(address)
		}
	})
}

// isDone reports whether the node has left.
func (n *Node) isDone() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}
