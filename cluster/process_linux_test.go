package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// life is what a node's process is told.
type life struct {
	File string
	Name string
	Room bool // it has a room, that answers
}

const (
	processLease  = time.Second
	processShards = 8
)

func TestMain(m *testing.M) {
	victim.Main(life.run)
	os.Exit(m.Run())
}

// boottime is the clock that all processes of a machine share.
func boottime() int64 {
	var t unix.Timespec
	victim.Must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &t))
	return t.Nano()
}

// join makes a process a node.
func (l life) join(ctx context.Context, bind string) (*cluster.Node, error) {
	db, err := sqlite.Open(l.File)
	if err != nil {
		return nil, err
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		return nil, err
	}
	sys, err := penstock.New()
	if err != nil {
		return nil, err
	}
	return cluster.Join(ctx, sys, cluster.Config{Name: l.Name, Bind: bind, Leases: leases, Lease: processLease, Shards: processShards})
}

// run serves shards for ever, and says of each time when it began and ended to ask whether it owns the shard.
func (l life) run() error {
	if l.Room {
		return l.answer()
	}
	node, err := l.join(context.Background(), "")
	if err != nil {
		return err
	}
	victim.Say("joined", "")
	for {
		shard := rand.IntN(processShards)
		before := boottime()
		if epoch, ok := node.Epoch(shard); ok {
			victim.Say("", fmt.Sprintf("%d %d %d %d", shard, epoch, before, boottime()))
		}
		time.Sleep(time.Millisecond)
	}
}

// judge holds the nodes' words against one another.
type judge struct {
	mu     sync.Mutex
	served [processShards][]decision
	last   map[string]int64 // when a node served something last
	moved  chan struct{}    // something new was said
}

// decision is that a node served a shard, at some moment between two.
type decision struct{ epoch, after, before int64 }

// listen takes in what a node says until its end.
func (j *judge) listen(name string, p *victim.Process) {
	for line := range p.Lines() {
		var shard int
		var d decision
		if _, err := fmt.Sscanf(line, "%d %d %d %d", &shard, &d.epoch, &d.after, &d.before); err != nil {
			continue // it has joined
		}
		j.mu.Lock()
		j.served[shard] = append(j.served[shard], d)
		j.last[name] = d.after
		j.mu.Unlock()
		select {
		case j.moved <- struct{}{}:
		default:
		}
	}
}

// servedAgain waits until every shard has been served since a moment, and something by each of these nodes.
func (j *judge) servedAgain(t *testing.T, since int64, nodes ...string) {
	deadline := time.After(time.Minute)
	for {
		var missing []string
		j.mu.Lock()
		for shard, list := range j.served {
			if !slices.ContainsFunc(list, func(d decision) bool { return d.after > since }) {
				missing = append(missing, fmt.Sprint("shard ", shard))
			}
		}
		for _, name := range nodes {
			if j.last[name] <= since {
				missing = append(missing, "node "+name)
			}
		}
		j.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		select {
		case <-j.moved:
		case <-deadline:
			require.Empty(t, missing, "shards that nobody serves, and nodes that serve none")
		}
	}
}

// check is the promise: whoever serves a shard under an epoch does so before anybody does under a later one.
func (j *judge) check(t *testing.T) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for shard, list := range j.served {
		slices.SortFunc(list, func(a, b decision) int { return int(a.epoch - b.epoch) })
		first := int64(1<<63 - 1) // when a later epoch was served for certain
		for _, d := range slices.Backward(list) {
			require.LessOrEqual(t, d.after, first, "shard %d was served under epoch %d after it was under a later one", shard, d.epoch)
			first = min(first, d.before)
		}
	}
}

// TestG11_ProcessesThatDieAndStop has three nodes over an SQLite file; again and again one of them is killed, or stopped for longer than its lease.
func TestG11_ProcessesThatDieAndStop(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	file := filepath.Join(t.TempDir(), "leases.db")
	j := &judge{moved: make(chan struct{}, 1), last: make(map[string]int64)}
	var listening sync.WaitGroup
	start := func(name string) *victim.Process {
		p := victim.Start(t, life{File: file, Name: name})
		listening.Go(func() { j.listen(name, p) })
		return p
	}
	nodes := map[string]*victim.Process{}
	for _, name := range []string{"a", "b", "c"} {
		nodes[name] = start(name)
	}
	j.servedAgain(t, boottime(), "a", "b", "c")
	for round := range rounds {
		name := string(rune('a' + rand.IntN(3)))
		began := boottime()
		if round%2 == 0 {
			nodes[name].Kill()
			j.servedAgain(t, boottime())
			t.Logf("round %d: %s was killed; all was served again after %v", round, name, time.Duration(boottime()-began).Round(time.Millisecond))
			nodes[name] = start(name)
			j.servedAgain(t, boottime(), name)
			continue
		}
		nodes[name].Freeze()
		j.servedAgain(t, began+int64(2*processLease)) // by the others
		nodes[name].Signal(syscall.SIGCONT)
		j.servedAgain(t, boottime(), name)
	}
	for _, p := range nodes {
		p.Kill()
	}
	listening.Wait()
	j.check(t)
	total := 0
	for _, list := range j.served {
		total += len(list)
		require.NotEmpty(t, list)
	}
	t.Logf("%d decisions", total)
}
