package batch

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

const gridShards = 4

// grid is a cluster whose nodes are systems of one bubble, and a database that all of them use.
type grid struct {
	t     testing.TB
	delay time.Duration
	rows  *epochTable

	mu     sync.Mutex
	nodes  map[string]*gridNode
	owners [gridShards]cluster.Owner // without a name: nobody
	epoch  int64                     // the last one of all
	asked  int                       // requests that were delivered
	lose   func() (request, answer bool)
}

// gridNode is a life of a node.
type gridNode struct {
	grid *grid
	name string
	sys  *penstock.System
	p    *Processor[string, *ledger]
	note *Operation[string, *ledger, int, int]
	own  service
	shut bool
	dead chan struct{}
}

func newGrid(t testing.TB) *grid {
	g := &grid{t: t, delay: 200 * time.Microsecond, nodes: make(map[string]*gridNode), rows: &epochTable{rows: make(map[string]epochRow)}}
	g.lose = func() (bool, bool) { return false, false }
	return g
}

// start starts a node, or a new life of one.
func (g *grid) start(name string, change func(cfg *Config[string, *ledger])) *gridNode {
	n := &gridNode{grid: g, name: name, dead: make(chan struct{}), sys: roomtest.System(g.t)}
	cfg := Config[string, *ledger]{MinDuration: time.Millisecond, MaxDuration: time.Second, Clustered: true, Load: n.load, Save: n.save}
	if change != nil {
		change(&cfg)
	}
	var err error
	n.p, err = newProcessorAt(n.sys, "test", cfg, n.open)
	require.NoError(g.t, err)
	n.note, err = Register(n.p, "note", noteAt)
	require.NoError(g.t, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes[name] = n
	return n
}

// noteAt notes a number, and returns where it is.
func noteAt(l *ledger, n int) (int, error) {
	if n < 0 {
		return 0, errOwn
	}
	l.done = append(l.done, n)
	return len(l.done) - 1, nil
}

// give gives all shards to a node; to nobody if it is empty.
func (g *grid) give(name string) {
	for shard := range gridShards {
		g.move(shard, name)
	}
}

// move gives a shard to a node.
func (g *grid) move(shard int, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.owners[shard]
	g.epoch++
	g.owners[shard] = cluster.Owner{Name: name, Epoch: g.epoch}
	if n := g.nodes[before.Name]; n != nil && !n.isDead() {
		go n.own.dropped(shard)
	}
}

// kill ends a life: nothing that it does from now on is heard or stored.
func (g *grid) kill(n *gridNode) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(n.dead)
	delete(g.nodes, n.name)
	for shard, o := range g.owners {
		if o.Name == n.name {
			g.owners[shard] = cluster.Owner{}
		}
	}
}

func (n *gridNode) isDead() bool {
	select {
	case <-n.dead:
		return true
	default:
		return false
	}
}

var errDead = errors.New("the process is dead")

func (n *gridNode) load(ctx context.Context, key string) (*ledger, error) {
	l, err := n.grid.rows.load(ctx, key)
	if n.isDead() {
		return nil, errDead
	}
	return l, err
}

func (n *gridNode) save(ctx context.Context, key string, l *ledger) error {
	if n.isDead() {
		return errDead
	}
	return n.grid.rows.save(ctx, key, l)
}

func (n *gridNode) open(s service) (node, port, error) {
	n.own = s
	return n, n, nil
}

func (n *gridNode) Name() string { return n.name }

func (n *gridNode) Shard(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % gridShards)
}

// Epoch is also what a dead process believes.
func (n *gridNode) Epoch(shard int) (int64, bool) {
	o, _ := n.Owner(shard)
	return o.Epoch, o.Name == n.name
}

func (n *gridNode) Owner(shard int) (cluster.Owner, bool) {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	o := n.grid.owners[shard]
	return o, o.Name != ""
}

func (n *gridNode) Close() {
	n.grid.mu.Lock()
	defer n.grid.mu.Unlock()
	n.shut = true
}

// errGridMoved is why somebody else is to be asked, or the same one again.
var errGridMoved = errors.New("it is not the owner, or no more")

// Ask does what a [cluster.Port] does.
func (n *gridNode) Ask(ctx context.Context, a cluster.Ask) ([]byte, error) {
	require.True(n.grid.t, a.Once)
	for {
		owner, known := n.Owner(n.Shard(a.ID))
		if owner.Name == n.name {
			return nil, cluster.ErrMine
		}
		if known {
			body, err := n.ask(ctx, owner.Name, a)
			if !errors.Is(err, errGridMoved) {
				return body, err
			}
		}
		if a.Refuse {
			return nil, &cluster.AwayError{ID: a.ID, Member: owner.Name, Why: errGridMoved}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (n *gridNode) ask(ctx context.Context, owner string, a cluster.Ask) ([]byte, error) {
	g := n.grid
	time.Sleep(g.delay)
	g.mu.Lock()
	to := g.nodes[owner]
	there := to != nil && !to.shut
	if there {
		g.asked++
	}
	g.mu.Unlock()
	if !there {
		return nil, errGridMoved
	}
	gone, lost := make(chan struct{}), make(chan struct{})
	defer close(gone)
	answers, errs := make(chan []byte, 1), make(chan error, 1)
	replies, refusals := answers, errs
	deadline, _ := ctx.Deadline()
	first, second := g.lose()
	if !first {
		to.own.handle(request{
			from: n.name, body: slices.Clone(a.Body), deadline: deadline, gone: gone,
			reply: func(body []byte) { answers <- body }, refuse: func(err error) { errs <- err },
		})
	}
	if first || second {
		time.AfterFunc(20*time.Millisecond, func() { close(lost) })
		replies, refusals = nil, nil
	}
	select {
	case body := <-replies:
		time.Sleep(g.delay)
		return body, nil
	case err := <-refusals:
		if errors.Is(err, cluster.ErrMoved) {
			return nil, errGridMoved
		}
		return nil, &cluster.RemoteError{Member: owner, Text: err.Error()}
	case <-lost:
		return nil, &cluster.UnknownError{Member: owner, Why: errors.New("the answer was lost")}
	case <-to.dead:
		return nil, &cluster.UnknownError{Member: owner, Why: errDead}
	case <-ctx.Done():
		return nil, &cluster.UnknownError{Member: owner, Why: context.Cause(ctx)}
	}
}

// epochTable is a database whose rows have versions and epochs.
type epochTable struct {
	before func(ctx context.Context, key string, saves bool) // a load or a save begins
	naive  bool                                              // nobody looks at epochs

	mu    sync.Mutex
	rows  map[string]epochRow
	stale int // saves that were refused
	loads []int64
}

type epochRow struct {
	done    []int
	version int
	epoch   int64
}

func (d *epochTable) load(ctx context.Context, key string) (*ledger, error) {
	if d.before != nil {
		d.before(ctx, key, false)
	}
	epoch, _ := cluster.Epoch(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	row := d.rows[key]
	if row.epoch > epoch && !d.naive {
		return nil, fmt.Errorf("load: %w", ErrStaleEpoch)
	}
	d.loads = append(d.loads, epoch)
	return &ledger{done: slices.Clone(row.done), version: row.version}, nil
}

func (d *epochTable) save(ctx context.Context, key string, l *ledger) error {
	if d.before != nil {
		d.before(ctx, key, true)
	}
	epoch, _ := cluster.Epoch(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	row := d.rows[key]
	switch {
	case row.epoch > epoch && !d.naive:
		d.stale++
		return fmt.Errorf("save: %w", ErrStaleEpoch)
	case row.version != l.version:
		return ErrConflict
	}
	l.version++
	d.rows[key] = epochRow{slices.Clone(l.done), l.version, epoch}
	return nil
}

func (d *epochTable) stored(key string) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rows[key].done)
}
