package cluster

import (
	"time"
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

// Info tells the state of things.
func (n *Node) Info() Info {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, s := n.own.now(), n.state
	i := Info{
		Name: n.name, Address: n.cfg.Address, Incarnation: s.me.Incarnation, Serving: s.serves(now), Owned: len(s.epochs),
		Shards: n.cfg.Shards, Unowned: n.cfg.Shards - len(s.view.Shards), Lost: s.lost, Err: s.err, Since: now - s.since,
	}
	if i.Serving {
		i.Left = s.lease.until - now
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
		}
	}
	n.own.until.Store(int64(s.lease.until))
	for i, epoch := range s.epochs {
		if n.own.epochs[i].Load() != epoch {
			n.own.epochs[i].Store(epoch)
			n.tell(Event{Kind: Gained, Shard: i, Epoch: epoch})
		}
	}
}

func (n *Node) tell(e Event) {
	if n.feed.Wanted() {
		n.feed.Publish(e)
	}
}

// over ends the node for good. The mutex is held.
func (n *Node) over(reason error) {
	select {
	case <-n.done:
		return
	default:
	}
	n.reason = reason
	n.end()
	n.feed.Close()
	n.metrics.close()
	close(n.done)
}
