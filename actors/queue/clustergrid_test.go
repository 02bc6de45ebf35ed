package queue

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// grid is a cluster whose nodes are systems of one bubble. One of them owns everything.
type grid struct {
	t     testing.TB
	delay time.Duration

	mu    sync.Mutex
	nodes map[string]*gridNode
	owner string // empty: nobody
	epoch int64
	told  int
}

type gridNode struct {
	grid *grid
	name string
	sys  *penstock.System
	spec cluster.RoomSpec
	cut  bool // nothing comes or goes
}

func newGrid(t testing.TB, names ...string) *grid {
	g := &grid{t: t, delay: 200 * time.Microsecond, nodes: make(map[string]*gridNode), epoch: 1}
	for _, name := range names {
		g.node(name)
	}
	g.own(names[0])
	return g
}

// node adds a node.
func (g *grid) node(name string, opts ...penstock.Option) *penstock.System {
	n := &gridNode{grid: g, name: name, sys: roomtest.System(g.t, opts...)}
	m, err := roomOf(n.sys)
	require.NoError(g.t, err)
	m.open = func(spec cluster.RoomSpec) (node, port, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		n.spec = spec
		g.nodes[name] = n
		g.news()
		return n, n, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes[name] = n
	return n.sys
}

func (g *grid) sys(name string) *penstock.System { return g.nodes[name].sys }

// own gives everything to a node; to nobody if it is empty.
func (g *grid) own(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owner = name
	g.epoch++
	g.news()
}

func (g *grid) cut(name string, cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes[name].cut = cut
}

func (g *grid) news() {
	for _, n := range g.nodes {
		if n.spec.Handle == nil {
			continue
		}
		owns, epoch, others := g.owner == n.name, g.epoch, n.others()
		go func() {
			n.spec.Members(others)
			if owns {
				n.spec.Gained(cluster.Gain{Epoch: epoch})
			} else {
				n.spec.Dropped(0, epoch)
			}
		}()
	}
}

func (n *gridNode) others() (names []string) {
	for name := range n.grid.nodes {
		if name != n.name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (n *gridNode) Name() string        { return n.name }
func (n *gridNode) Shard(string) int    { return 0 }
func (n *gridNode) Left() time.Duration { return time.Hour }
func (n *gridNode) Close()              {}

func (n *gridNode) Epoch(int) (int64, bool) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	return n.grid.epoch, n.grid.owner == n.name
}

func (n *gridNode) Owner(int) (cluster.Owner, bool) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	return cluster.Owner{Name: n.grid.owner, Epoch: n.grid.epoch}, n.grid.owner != ""
}

func (n *gridNode) Members() []string {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	return n.others()
}

func (n *gridNode) Tell(member string, body []byte) error {
	g := n.grid
	g.mu.Lock()
	defer g.mu.Unlock()
	to, ok := g.nodes[member]
	if !ok || g.nodes[n.name] != n {
		return cluster.ErrAway
	}
	g.told++
	if to.spec.Handle != nil && !n.cut && !to.cut {
		time.AfterFunc(g.delay, func() { to.spec.Handle(&cluster.Call{From: n.name, Body: slices.Clone(body)}) })
	}
	return nil
}

// at is what runs at the same time, and the most that ever did.
type at struct {
	mu        sync.Mutex
	now, most int
	turns     []roomtest.Turn
}

// job counts itself while it runs, for d.
func (a *at) job(n int, d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		a.mu.Lock()
		a.now += n
		a.most = max(a.most, a.now)
		a.turns = append(a.turns, roomtest.Turn{At: time.Now(), Cost: n})
		a.mu.Unlock()
		time.Sleep(d)
		a.mu.Lock()
		a.now -= n
		a.mu.Unlock()
		return nil
	}
}
