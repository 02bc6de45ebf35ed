package bucket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// gridShards is how many shards a grid has.
const gridShards = 4

// grid is a cluster whose nodes are systems of one bubble.
type grid struct {
	t     testing.TB
	delay func() time.Duration // of each message, in each direction

	mu      sync.Mutex
	nodes   map[string]*gridNode
	owners  [gridShards]cluster.Owner // without a name: nobody's
	epochs  [gridShards]int64         // the last of each shard
	changed chan struct{}
	asked   int // how many requests were sent from one node to another
	told    int
}

type gridNode struct {
	grid   *grid
	name   string
	sys    *penstock.System
	spec   cluster.RoomSpec
	handle func(letter)
	clock  time.Duration // how far this node's clock is ahead
	began  time.Time
	cut    bool // nothing comes or goes
	lost   chan struct{}
	owns   [gridShards]int64
}

// newGrid makes a cluster whose first node owns everything.
func newGrid(t testing.TB, names ...string) *grid {
	g := &grid{t: t, delay: func() time.Duration { return 200 * time.Microsecond }, nodes: make(map[string]*gridNode), changed: make(chan struct{})}
	for i, name := range names {
		g.nodes[name] = &gridNode{
			grid: g, name: name, sys: roomtest.System(t), clock: time.Duration(i*i) * time.Hour, began: time.Now(), lost: make(chan struct{}),
		}
	}
	for shard := range gridShards {
		g.move(shard, names[0], false)
	}
	return g
}

// family starts one at each node.
func (g *grid) family(cfg Config, names ...string) (families []*Family) {
	cfg.Clustered = true
	for _, name := range names {
		n := g.nodes[name]
		f, err := newFamilyAt(n.sys, "api", cfg, n.open)
		require.NoError(g.t, err)
		families = append(families, f)
	}
	return families
}

func (n *gridNode) open(spec cluster.RoomSpec, handle func(letter)) (node, port, error) {
	g := n.grid
	g.mu.Lock()
	defer g.mu.Unlock()
	n.spec, n.handle = spec, handle
	for shard, epoch := range n.owns {
		if epoch != 0 {
			go spec.Gained(cluster.Gain{Shard: shard, Epoch: epoch})
		}
	}
	return n, n, nil
}

// move gives a shard to a node; to nobody if it is empty.
func (g *grid) move(shard int, to string, proven bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := g.owners[shard]
	if n, epoch := g.nodes[from.Name], from.Epoch; n != nil {
		n.owns[shard] = 0
		if n.spec.Dropped != nil {
			time.AfterFunc(g.delay(), func() { n.spec.Dropped(shard, epoch) })
		}
	}
	if !proven {
		from = cluster.Owner{}
	}
	g.epochs[shard] += 2
	g.owners[shard] = cluster.Owner{}
	if n := g.nodes[to]; n != nil {
		n.owns[shard] = g.epochs[shard]
		g.owners[shard] = cluster.Owner{Name: to, Epoch: g.epochs[shard]}
		if n.spec.Gained != nil {
			gain := cluster.Gain{Shard: shard, Epoch: g.epochs[shard], From: from}
			time.AfterFunc(g.delay(), func() { n.spec.Gained(gain) })
		}
	}
	g.news()
}

// cut has a node neither hear nor be heard; what is under way is lost.
func (g *grid) cut(name string, cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[name]
	if cut && !n.cut {
		close(n.lost)
		n.lost = make(chan struct{})
	}
	n.cut = cut
	g.news()
}

func (g *grid) news() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (n *gridNode) Name() string         { return n.name }
func (n *gridNode) Clock() time.Duration { return n.clock + time.Since(n.began) }

func (n *gridNode) Shard(id string) (shard int) {
	for _, c := range []byte(id) {
		shard += int(c)
	}
	return shard % gridShards
}

func (n *gridNode) Close() {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	n.handle = nil
}

func (n *gridNode) Epoch(shard int) (int64, bool) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	return n.owns[shard], n.owns[shard] != 0
}

func (n *gridNode) Owner(shard int) (cluster.Owner, bool) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	o := n.grid.owners[shard]
	return o, o.Name != ""
}

func (n *gridNode) Members() (names []string) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	for name := range n.grid.nodes {
		if name != n.name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// reach is the node, if it can be reached now, and what is closed when it is lost.
func (n *gridNode) reach(name string) (to *gridNode, handle func(letter), lost [2]chan struct{}) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	to = n.grid.nodes[name]
	if to == nil || to == n || to.cut || n.cut || to.handle == nil {
		return nil, nil, lost
	}
	return to, to.handle, [2]chan struct{}{n.lost, to.lost}
}

func (n *gridNode) Tell(member string, body []byte) error {
	n.grid.mu.Lock()
	n.grid.told++
	n.grid.mu.Unlock()
	if _, handle, lost := n.reach(member); handle != nil {
		l := letter{inquiry: newGridCall(n.grid), from: n.name, body: slices.Clone(body)}
		time.AfterFunc(n.grid.delay(), func() {
			if !ended(lost) {
				handle(l)
			}
		})
		return nil
	}
	return cluster.ErrAway
}

func ended(lost [2]chan struct{}) bool {
	select {
	case <-lost[0]:
	case <-lost[1]:
	default:
		return false
	}
	return true
}

var errGridAgain, errGridLost = errors.New("again"), errors.New("lost")

func (n *gridNode) Ask(ctx context.Context, a cluster.Ask) ([]byte, error) {
	g, shard := n.grid, n.Shard(a.ID)
	for {
		if _, mine := n.Epoch(shard); mine {
			return nil, cluster.ErrMine
		}
		g.mu.Lock()
		owner, changed := g.owners[shard], g.changed
		g.mu.Unlock()
		if to, handle, lost := n.reach(owner.Name); to != nil {
			body, err := n.call(ctx, to, handle, lost, a)
			if !errors.Is(err, errGridAgain) {
				return body, err
			}
		}
		if a.Refuse {
			return nil, &cluster.AwayError{ID: a.ID, Member: owner.Name, Why: errGridAgain}
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// AskMember asks a node, whatever it owns.
func (n *gridNode) AskMember(ctx context.Context, member string, body []byte) ([]byte, error) {
	to, handle, lost := n.reach(member)
	if to == nil {
		return nil, cluster.ErrAway
	}
	answer, err := n.call(ctx, to, handle, lost, cluster.Ask{Body: body})
	if err != nil {
		err = fmt.Errorf("%w: %w", cluster.ErrAway, err)
	}
	return answer, err
}

// call asks a node once.
func (n *gridNode) call(ctx context.Context, to *gridNode, handle func(letter), lost [2]chan struct{}, a cluster.Ask) ([]byte, error) {
	c := newGridCall(n.grid)
	n.grid.mu.Lock()
	n.grid.asked++
	n.grid.mu.Unlock()
	time.AfterFunc(n.grid.delay(), func() {
		switch _, mine := to.Epoch(to.Shard(a.ID)); {
		case ended(lost):
		case !mine && a.ID != "":
			c.Refuse(cluster.ErrMoved)
		default:
			handle(letter{inquiry: c, from: n.name, id: a.ID, body: slices.Clone(a.Body)})
		}
	})
	var why error
	select {
	case answer := <-c.answer:
		return answer.body, answer.err
	case <-ctx.Done():
		why = context.Cause(ctx)
		time.AfterFunc(n.grid.delay(), c.takeBack)
	case <-lost[0]:
		why = errGridLost
		c.cancel()
	case <-lost[1]:
		why = errGridLost
		c.cancel()
	}
	return nil, &cluster.UnknownError{Member: to.name, Why: why}
}

// gridCall is a call of another node.
type gridCall struct {
	grid     *grid
	answer   chan gridAnswer // arrives once
	mu       sync.Mutex
	answered bool
	unheard  func()
	gone     bool
	canceled chan struct{}
}

type gridAnswer struct {
	body []byte
	err  error
}

func newGridCall(g *grid) *gridCall {
	return &gridCall{grid: g, answer: make(chan gridAnswer, 1), canceled: make(chan struct{})}
}

func (c *gridCall) Canceled() <-chan struct{} { return c.canceled }
func (c *gridCall) Reply(body []byte)         { c.say(gridAnswer{body: body}, nil) }

func (c *gridCall) ReplyOr(body []byte, unheard func()) { c.say(gridAnswer{body: body}, unheard) }

func (c *gridCall) Refuse(err error) {
	if errors.Is(err, cluster.ErrMoved) {
		err = errGridAgain
	}
	c.say(gridAnswer{err: err}, nil)
}

func (c *gridCall) say(a gridAnswer, unheard func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone && unheard != nil:
		go unheard()
	case !c.answered && !c.gone:
		c.answered, c.unheard = true, unheard
		time.AfterFunc(c.grid.delay(), func() { c.answer <- a })
	}
}

// cancel tells whoever answers that nobody waits, unless it has been answered.
func (c *gridCall) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone && !c.answered {
		close(c.canceled)
	}
	c.gone = true
}

// takeBack is cancel for who gave up: an answer that is under way was for nothing.
func (c *gridCall) takeBack() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered && c.unheard != nil {
		go c.unheard()
		c.unheard = nil
	}
}

// lateNow and then: one message in so many takes up to most.
func lateNowAndThen(rng *rand.Rand, oneIn int, most time.Duration) func() time.Duration {
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(oneIn) == 0 {
			return time.Duration(rng.Int64N(int64(most)))
		}
		return time.Duration(100+rng.IntN(400)) * time.Microsecond
	}
}
