package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster/internal/transport"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/supervisor"
)

// Node is a system's membership of a cluster. It is safe for concurrent use.
type Node struct {
	name   string
	cfg    Config
	logger *slog.Logger
	seat   *supervisor.Seat[*Node]
	own    *ownership
	wire   *transport.Transport // nil: the node only owns
	routes atomic.Pointer[routes]
	feed   supervisor.Feed[Event]

	partings sync.Map // addresses of nodes that are no members any more, and whose links are about to be ended

	metrics *metrics

	life context.Context // of calls to the store; ends when the node has left
	end  context.CancelFunc

	mu      sync.Mutex
	state   *state
	ports   map[place]*Port
	company bool          // there were other members when the node left
	joined  chan struct{} // closed when there was a lease
	left    chan struct{} // closed when the node is no member any more
	done    chan struct{} // closed when nothing is left of it
	reason  error         // why it left without having been asked to
}

// Join makes the system a node of a cluster, and returns when it has its first lease: what it owns follows, and changes as
// nodes come and go. While another node with its name lives, such as its own former life after a crash, Join waits for the
// end of that lease; and it waits for a store that is not there. When ctx ends before, the error says what was in the way, and the
// system is no node.
//
// Other errors: [penstock.ErrInvalid], naming every bad field and the values it takes; [penstock.ErrExists] if the system is a
// node already; [penstock.ErrClosed]. The system's Close leaves the cluster when everything that came to the system after
// Join has been closed.
func Join(ctx context.Context, sys *penstock.System, cfg Config) (*Node, error) {
	return join(ctx, sys, cfg, boottime)
}

func join(ctx context.Context, sys *penstock.System, cfg Config, now func() time.Duration) (*Node, error) {
	if sys == nil {
		return nil, fmt.Errorf("%w cluster node: the system is nil; it takes one from penstock.New", penstock.ErrInvalid)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r, err := penstock.Part(sys, func() (*room, error) { return newRoom(sys) })
	if err != nil {
		return nil, err
	}
	n, err := newNode(sys, cfg.withDefaults(), now)
	if err != nil {
		return nil, fmt.Errorf("cluster node %q: %w", cfg.Name, err)
	}
	if n.metrics, err = newMetrics(sys, n); err != nil {
		if n.wire != nil {
			_ = n.wire.Close(ctx)
		}
		return nil, fmt.Errorf("cluster node %q: instruments: %w", n.name, err)
	}
	err = r.Add(theNode, func(s *supervisor.Seat[*Node]) *Node {
		n.seat = s
		return n
	})
	if err != nil {
		n.mu.Lock()
		n.over(err)
		n.mu.Unlock()
		<-n.done
		return nil, fmt.Errorf("cluster node %q: %w", n.name, err)
	}
	select {
	case <-n.joined:
		return n, nil
	case <-n.left:
		return nil, fmt.Errorf("cluster node %q: %w", n.name, n.reason)
	case <-ctx.Done():
	}
	n.mu.Lock()
	err = n.state.err
	n.mu.Unlock()
	if errors.Is(err, context.DeadlineExceeded) || err == nil {
		err = errNoAnswer
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_ = n.Leave(ended) // it may have joined just now: then its lease ends by itself
	return nil, fmt.Errorf("cluster node %q: it could not join: %w: %w", n.name, err, context.Cause(ctx))
}

var errNoAnswer = errors.New("cluster: the store of leases does not answer")

func newNode(sys *penstock.System, cfg Config, now func() time.Duration) (n *Node, err error) {
	n = &Node{
		name: cfg.Name, cfg: cfg,
		logger: sys.Logger().With("node", cfg.Name),
		own:    newOwnership(cfg.Shards, now),
		ports:  make(map[place]*Port),
		joined: make(chan struct{}),
		left:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	n.life, n.end = context.WithCancel(context.Background())
	me := lease.Member{Name: cfg.Name, Incarnation: rand.Text(), Address: cmp.Or(cfg.Advertise, cfg.Name)}
	n.state = newState(rules{lease: cfg.Lease, shards: cfg.Shards}, me, now())
	n.route()
	if cfg.Bind == "" {
		return n, nil
	}
	n.mu.Lock() // the others may be quick
	defer n.mu.Unlock()
	if n.wire, err = transport.New(cfg.transport(n, now)); err != nil {
		return nil, err
	}
	n.state.me.Address = n.wire.Address()
	return n, nil
}

// Clock is the node's: it goes on while the machine sleeps, and says nothing about that of another node. Reading it takes some 50 ns.
func (n *Node) Clock() time.Duration { return n.own.now() }

// Of is the system's node; nil if it is none.
func Of(sys *penstock.System) *Node {
	if r := penstock.LookupPart[room](sys); r != nil {
		if seat, ok := r.Lookup(theNode); ok {
			return seat.Member()
		}
	}
	return nil
}

// Here is the system's node, for a room that is Clustered. The error is [penstock.ErrInvalid] if the system is none.
func Here(sys *penstock.System) (*Node, error) {
	if n := Of(sys); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: Clustered is true, but the system is no node of a cluster: call cluster.Join first", penstock.ErrInvalid)
}

// Leave gives up all that the node owns, ends its lease, and returns when the store knows: others own it within a third of the
// lease, or when the lease would have ended if the node had it for less than that. What the node owned is no longer served from the first
// moment on. With rooms that are Clustered and other members, Leave takes half a lease more, in which these ask what the rooms know. When
// ctx ends before, the rest goes on by itself, and the error says so. Leave may be called more than once.
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	n.goodbye()
	n.mu.Unlock()
	n.seat.Wake()
	var err error
	select {
	case <-n.done:
	case <-ctx.Done():
		err = fmt.Errorf("cluster node %q: it leaves still; its lease ends by itself in any case: %w", n.name, context.Cause(ctx))
	}
	n.seat.Remove(penstock.ErrClosed)
	return err
}

// goodbye has the node stop serving. The mutex is held.
func (n *Node) goodbye() {
	n.company = n.company || len(n.state.view.Members) > 1
	n.state.goodbye(n.own.now())
	n.mirror()
}

// Shard is the part that an ID belongs to. It is the same on every node.
func (n *Node) Shard(id string) int { return int(hash(id) % uint64(n.cfg.Shards)) }

// Epoch is that of a shard which this node owns, and reports whether it does, right now: it asks the clock each time, so that a
// process that was stopped for longer than its lease finds out before it does anything.
func (n *Node) Epoch(shard int) (epoch int64, ok bool) {
	if shard < 0 || shard >= len(n.own.epochs) {
		return 0, false
	}
	return n.own.epoch(shard)
}

// Owner is a node that owns a shard.
type Owner struct {
	Name    string
	Address string
	Epoch   int64
}

// Owner is who owned the shard when the node heard of it last: at most a third of the lease ago, if the store is there. ok is
// false if nobody did, or if the node knows nothing.
func (n *Node) Owner(shard int) (o Owner, ok bool) {
	if shard < 0 || shard >= n.cfg.Shards {
		return Owner{}, false
	}
	o = n.routes.Load().owner(shard)
	return o, o.Epoch != 0
}

// Subscribe starts a subscription to what becomes of the node and its shards. buffer is how many events may wait for their
// reader; what comes beyond that is dropped and counted.
func (n *Node) Subscribe(buffer int) *supervisor.Subscription[Event] { return n.feed.Subscribe(buffer) }
