package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/authority"
	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/internal/puppet"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

const (
	clusterNodes   = 3
	clusterCallers = 32 // of each node
	clusterLease   = 3 * time.Second
	clusterIDs     = 300
	slowestCall    = 60_000_000 // microseconds: where a histogram ends
)

// parts are what this program plays when it has started itself.
var parts = map[string]func(*puppet.Strings) error{"node": clusterNode}

// nodeOrder is what a process of the cluster rows is told first.
type nodeOrder struct {
	Name      string
	File      string // of the leases
	Authority *authority.Authority
	Profile   string // the file of a CPU profile; empty: none
}

// nodeTask is what it is told then, again and again.
type nodeTask struct {
	Do    string        // a key of nodeSides
	For   time.Duration // how long
	Peers []string      // of the bare streams
}

// nodeReport is what it answers.
type nodeReport struct {
	Bare   string // at first: where its bare streams are served
	Calls  int64
	Passed int64 // of those who never wait
	Took   time.Duration
	CPU    time.Duration // of the process
	Micros *hdrhistogram.Snapshot
	Error  string
}

// node is a process of the cluster rows.
type node struct {
	cluster *cluster.Node
	port    *cluster.Port
	family  *bucket.Family
	bare    *bareServer
	tls     *tls.Config
	mine    []string // IDs
	theirs  []string
	links   map[string][]*bareLink // to the others, by side
	passed  atomic.Int64           // permits of those who never wait
}

// nodeSides are what a node can be told to do: each makes the function of one caller.
var nodeSides = map[string]func(n *node, caller int) func(ctx context.Context, i int) error{
	"ask":     (*node).asks,
	"acquire": (*node).acquires,
	"try":     (*node).tries,
	"bare":    (*node).bareCalls,
	"batched": (*node).bareBatches,
}

func clusterNode(s *puppet.Strings) error {
	var o nodeOrder
	if err := s.Hear(&o); err != nil {
		return err
	}
	ctx := context.Background()
	n, err := o.open(ctx)
	if err != nil {
		return err
	}
	if o.Profile != "" {
		f, err := os.Create(o.Profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if err := s.Tell(nodeReport{Bare: n.bare.address}); err != nil {
		return err
	}
	for {
		var t nodeTask
		if err := s.Hear(&t); err != nil {
			return err
		}
		report, err := n.do(ctx, t)
		if err != nil {
			report.Error = err.Error()
		}
		if err := s.Tell(report); err != nil {
			return err
		}
	}
}

func (o nodeOrder) open(ctx context.Context) (*node, error) {
	db, err := sqlite.Open(o.File)
	if err != nil {
		return nil, err
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		return nil, err
	}
	n := &node{links: make(map[string][]*bareLink)}
	if n.tls, err = o.Authority.Node(); err != nil {
		return nil, err
	}
	if n.bare, err = serveBare(n.tls); err != nil {
		return nil, err
	}
	h, err := openEmpty()
	if err != nil {
		return nil, err
	}
	n.cluster, err = cluster.Join(ctx, h.sys, cluster.Config{
		Name: o.Name, Bind: "127.0.0.1:0", TLS: n.tls, Leases: leases, Lease: clusterLease,
	})
	if err != nil {
		return nil, err
	}
	answer := make([]byte, bareAnswer)
	n.port, err = n.cluster.Open(cluster.RoomSpec{Service: 100, Name: "bench", Handle: func(c *cluster.Call) { c.Reply(answer) }})
	if err != nil {
		return nil, err
	}
	n.family, err = bucket.NewFamily(h.sys, "bench", bucket.Config{
		Limits: []limit.Limit{{Events: plenty, Per: time.Second}}, Idle: time.Hour, Clustered: true,
	})
	return n, err
}

// settle waits until all nodes own a share: none moves then.
func (n *node) settle(ctx context.Context) error {
	return poll(ctx, time.Minute, func() bool {
		i := n.cluster.Info()
		return i.Unowned == 0 && len(i.Members) == clusterNodes && !slices.ContainsFunc(i.Members, func(m cluster.MemberInfo) bool {
			return m.Owned < i.Shards/clusterNodes || m.Owned > (i.Shards+clusterNodes-1)/clusterNodes
		})
	})
}

// sort tells the node's own IDs from the others'.
func (n *node) sort() {
	for _, id := range makeIDs(clusterIDs) {
		if _, mine := n.cluster.Epoch(n.cluster.Shard(id)); mine {
			n.mine = append(n.mine, id)
		} else {
			n.theirs = append(n.theirs, id)
		}
	}
}

// do has callers do one thing for a while.
func (n *node) do(ctx context.Context, t nodeTask) (r nodeReport, err error) {
	side := nodeSides[t.Do]
	switch {
	case t.Do == "settle":
		return r, n.settle(ctx)
	case t.Do == "sort":
		n.sort()
		return r, nil
	case side == nil:
		return r, fmt.Errorf("a node cannot %q", t.Do)
	}
	for _, peer := range t.Peers {
		if peer == n.bare.address || len(n.links[t.Do]) == len(t.Peers)-1 {
			continue
		}
		l, err := dialBare(peer, n.tls, t.Do == "batched")
		if err != nil {
			return r, err
		}
		n.links[t.Do] = append(n.links[t.Do], l)
	}
	var (
		callers sync.WaitGroup
		calls   atomic.Int64
		mu      sync.Mutex
		errs    []error
		all     = hdrhistogram.New(1, slowestCall, 3)
		passed  = n.passed.Load()
		cpu     = cpuTime()
		began   = time.Now()
		end     = began.Add(t.For)
	)
	for caller := range clusterCallers {
		call := side(n, caller)
		callers.Go(func() {
			var err error
			count := int64(0)
			mine := hdrhistogram.New(1, slowestCall, 3)
			for at := time.Now(); at.Before(end) && err == nil; count++ {
				err = call(ctx, int(count))
				now := time.Now()
				_ = mine.RecordValue(min(now.Sub(at).Microseconds(), slowestCall))
				at = now
			}
			calls.Add(count)
			mu.Lock()
			defer mu.Unlock()
			all.Merge(mine)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	callers.Wait()
	if len(errs) > 0 {
		err = fmt.Errorf("%s: %d callers failed: %w", t.Do, len(errs), errs[0])
	}
	return nodeReport{
		Calls: calls.Load(), Passed: n.passed.Load() - passed, Took: time.Since(began), CPU: cpuTime() - cpu, Micros: all.Export(),
	}, err
}

// asks is a caller of the bare port: the transport by itself.
func (n *node) asks(caller int) func(context.Context, int) error {
	body := make([]byte, bareBody)
	return func(ctx context.Context, i int) error {
		_, err := n.port.Ask(ctx, cluster.Ask{ID: pick(n.theirs, caller, i), Body: body})
		return err
	}
}

// acquires is a caller who wants two permits at once: such a request is not served from what was lent.
func (n *node) acquires(caller int) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		_, err := n.family.Bucket(pick(n.theirs, caller, i)).Acquire(ctx, bucket.Request{Cost: 2})
		return err
	}
}

func pick(ids []string, caller, i int) string { return ids[(caller*31+i)%len(ids)] }

// startNodes starts the processes, and returns when each owns its share.
func startNodes(dir, profile string) (c *crew, err error) {
	signer, err := authority.New()
	if err != nil {
		return nil, err
	}
	if err := fleet.Prepare(context.Background(), filepath.Join(dir, "leases.db")); err != nil {
		return nil, err
	}
	c = new(crew)
	defer func() {
		if err != nil {
			c.kill()
		}
	}()
	for i := range clusterNodes {
		o := nodeOrder{Name: fmt.Sprintf("n%d", i+1), File: filepath.Join(dir, "leases.db"), Authority: signer}
		if profile != "" {
			o.Profile = filepath.Join(profile, o.Name+".pprof")
		}
		p, err := puppet.Start("node", o)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, p)
		var r nodeReport
		if err := p.Hear(&r); err != nil {
			return nil, fmt.Errorf("node %s does not start: %w", o.Name, err)
		}
		c.bare = append(c.bare, r.Bare)
	}
	_, err = c.all(nodeTask{Do: "settle"})
	if err == nil {
		_, err = c.all(nodeTask{Do: "sort"})
	}
	return c, err
}

// crew is the nodes, as the row sees them.
type crew struct {
	nodes []*puppet.Puppet
	bare  []string
}

func (c *crew) kill() {
	for _, p := range c.nodes {
		p.Kill()
	}
}

// close lets them end by themselves, so that profiles are written.
func (c *crew) close() error {
	var errs []error
	for _, p := range c.nodes {
		errs = append(errs, p.Close(10*time.Second))
	}
	return errors.Join(errs...)
}

// all has all of them do the same at the same time.
func (c *crew) all(t nodeTask) (s clusterSum, err error) {
	t.Peers = c.bare
	for _, p := range c.nodes {
		if err := p.Tell(t); err != nil {
			return s, err
		}
	}
	s.micros = hdrhistogram.New(1, slowestCall, 3)
	for _, p := range c.nodes {
		var r nodeReport
		if err := p.Hear(&r); err != nil {
			return s, err
		}
		if r.Error != "" {
			return s, errors.New(r.Error)
		}
		if r.Took > 0 {
			s.perSecond += float64(r.Calls) / r.Took.Seconds()
			s.calls, s.passed, s.cpu, s.took = s.calls+r.Calls, s.passed+r.Passed, s.cpu+r.CPU, max(s.took, r.Took)
			s.micros.Merge(hdrhistogram.Import(r.Micros))
		}
	}
	return s, nil
}

// clusterSum is what all nodes did together.
type clusterSum struct {
	perSecond float64
	calls     int64
	passed    int64
	took      time.Duration
	cpu       time.Duration
	micros    *hdrhistogram.Histogram
}
