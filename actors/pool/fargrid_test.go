package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// grid is a cluster whose nodes are systems of one bubble.
type grid struct {
	t testing.TB

	mu    sync.Mutex
	nodes map[string]*gridNode
	calls map[*gridCall]struct{} // that wait for their answers
	asked int
}

type gridNode struct {
	grid *grid
	name string
	sys  *penstock.System
	lost bool
	hear map[string]func(from string, body []byte, c caller) // by the pools' names
}

// gridCall is one question.
type gridCall struct {
	from, to string
	answer   chan []byte
	failed   chan error
	canceled chan struct{}
	once     sync.Once
}

func (c *gridCall) Canceled() <-chan struct{} { return c.canceled }
func (c *gridCall) abandon()                  { c.once.Do(func() { close(c.canceled) }) }

func (c *gridCall) Reply(body []byte) {
	select {
	case c.answer <- slices.Clone(body):
	default:
	}
}

// gridDelay is how long a message takes.
const gridDelay = time.Millisecond

func newGrid(t testing.TB, names ...string) *grid {
	g := &grid{t: t, nodes: make(map[string]*gridNode), calls: make(map[*gridCall]struct{})}
	for _, name := range names {
		n := &gridNode{grid: g, name: name, sys: roomtest.System(t), hear: make(map[string]func(string, []byte, caller))}
		m, err := roomOf(n.sys)
		require.NoError(t, err)
		m.links.open = func(pool string, hear func(string, []byte, caller)) (string, port, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			n.hear[pool] = hear
			return name, &gridPort{n, pool}, nil
		}
		g.nodes[name] = n
	}
	return g
}

func (g *grid) sys(name string) *penstock.System { return g.nodes[name].sys }

// pool adds a pool called "work" that others can reach.
func (g *grid) pool(node string, cfg Config) *Pool {
	cfg.Clustered = true
	return addPool(g.t, g.sys(node), "work", cfg)
}

// at is the pool "work" of another node, as a node has it.
func (g *grid) at(node, member string) *Pool {
	p, err := At(g.sys(node), member, "work")
	require.NoError(g.t, err)
	return p
}

// lose cuts a node off: whoever waits for it does not know what it did, and it is told that nobody waits for what it was asked.
func (g *grid) lose(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes[name].lost = true
	for c := range g.calls {
		if c.from == name || c.to == name {
			c.failed <- &cluster.UnknownError{Member: c.to, Why: errors.New("the link is down")}
			c.abandon()
			delete(g.calls, c)
		}
	}
}

type gridPort struct {
	node *gridNode
	pool string
}

func (p *gridPort) Close() {
	p.node.grid.mu.Lock()
	defer p.node.grid.mu.Unlock()
	delete(p.node.hear, p.pool)
}

func (p *gridPort) AskMemberOnce(ctx context.Context, member string, body []byte) ([]byte, error) {
	g := p.node.grid
	c := &gridCall{from: p.node.name, to: member, answer: make(chan []byte, 1), failed: make(chan error, 1), canceled: make(chan struct{})}
	g.mu.Lock()
	to := g.nodes[member]
	if to == nil || to.lost || p.node.lost || to.hear[p.pool] == nil {
		g.mu.Unlock()
		return nil, &cluster.AwayError{Member: member, Why: errors.New("it is not there")}
	}
	g.asked++
	g.calls[c] = struct{}{}
	hear := to.hear[p.pool]
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.calls, c)
	}()
	time.AfterFunc(gridDelay, func() { hear(p.node.name, slices.Clone(body), c) })
	select {
	case answer := <-c.answer:
		return answer, nil
	case err := <-c.failed:
		return nil, err
	case <-ctx.Done():
		time.AfterFunc(gridDelay, c.abandon)
		return nil, &cluster.UnknownError{Member: member, Why: ctx.Err()}
	}
}

// The work of tests is of the wasm tier, and runs on goroutines: bubbles have no processes.
var deeds sync.Map // name → func(context.Context) ([]byte, error)

func init() {
	HostBy(Wasm, func(w Work) (func(context.Context) ([]byte, error), error) {
		if fn, ok := deeds.Load(w.Name); ok {
			return fn.(func(context.Context) ([]byte, error)), nil
		}
		return nil, nil
	})
}

// deed is a function that travels: whoever has it by its name runs the same one.
func deed(t testing.TB, name string, fn func(context.Context) ([]byte, error)) func(context.Context) (string, error) {
	name = t.Name() + "/" + name
	deeds.Store(name, fn)
	t.Cleanup(func() { deeds.Delete(name) })
	return deedOf(name, nil)
}

func deedOf(name string, input []byte) func(context.Context) (string, error) {
	run := func(ctx context.Context) (string, error) {
		j, _ := JobOf(ctx)
		j.Runs(Wasm)
		if j.Far() {
			b, err := j.Travel(ctx, Work{Tier: Wasm, Name: name, Input: input})
			return string(b), err
		}
		fn, ok := deeds.Load(name)
		if !ok {
			return "", fmt.Errorf("no deed %q", name)
		}
		b, err := fn.(func(context.Context) ([]byte, error))(ctx)
		return string(b), err
	}
	MayTravel(run)
	return run
}

// holder is a deed that runs until it is let go or its context ends, and counts how many do.
type holder struct {
	mu      sync.Mutex
	now     int
	began   int
	release chan struct{}
}

func newHolder() *holder { return &holder{release: make(chan struct{})} }

func (h *holder) run(ctx context.Context) ([]byte, error) {
	h.mu.Lock()
	h.now++
	h.began++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.now--
		h.mu.Unlock()
	}()
	select {
	case <-h.release:
		return []byte("held"), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (h *holder) counts() (now, began int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now, h.began
}
