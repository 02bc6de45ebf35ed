package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/bucket"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

func TestMain(m *testing.M) {
	victim.Main(life.run)
	os.Exit(m.Run())
}

// life is what a node's process is told.
type life struct{ File, Name string }

const (
	processLease   = time.Second
	processLimit   = 20
	processTransit = 100 * time.Millisecond
	processSlack   = 300 * time.Millisecond // a process that says when its turn was may have been stopped for so long before it did
	processCallers = 3                      // of each ID, at each node
)

var processIDs = []string{"0", "1", "2", "3", "4", "5"}

// boottime is the clock that all processes of a machine share.
func boottime() int64 {
	var t unix.Timespec
	victim.Must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &t))
	return t.Nano()
}

// run joins the others, and has callers take turns of all IDs. It says when each turn was.
func (l life) run() error {
	ctx := context.Background()
	db, err := sqlite.Open(l.File)
	if err != nil {
		return err
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		return err
	}
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	if _, err := cluster.Join(ctx, sys, cluster.Config{Name: l.Name, Bind: "127.0.0.1:0", Leases: leases, Lease: processLease, Shards: 8}); err != nil {
		return err
	}
	f, err := bucket.NewFamily(sys, "api", bucket.Config{
		Limits: []limit.Limit{{Name: "api", Events: processLimit, Per: time.Second}}, Clustered: true, Transit: processTransit, Slack: processSlack,
	})
	if err != nil {
		return err
	}
	for _, id := range processIDs {
		for range processCallers {
			go func() {
				for {
					_, err := f.Bucket(id).Acquire(ctx, bucket.Request{})
					switch {
					case err == nil:
						victim.Say("turn", fmt.Sprintf(" %s %d", id, boottime()))
					case !errors.Is(err, cluster.ErrUnknown):
						victim.Must(err)
					}
				}
			}()
		}
	}
	for parent := os.Getppid(); os.Getppid() == parent; { // a test that ran out of time kills nobody
		time.Sleep(time.Second)
	}
	return nil
}

// judge holds what the nodes say against one another.
type judge struct {
	mu    sync.Mutex
	turns map[string][]int64          // by ID
	last  map[string]map[string]int64 // by node and ID
	moved chan struct{}
}

func (j *judge) listen(name string, p *victim.Process) {
	for line := range p.Lines() {
		var id string
		var at int64
		if _, err := fmt.Sscanf(line, "turn %s %d", &id, &at); err != nil {
			continue
		}
		j.mu.Lock()
		j.turns[id] = append(j.turns[id], at)
		if j.last[name] == nil {
			j.last[name] = make(map[string]int64)
		}
		j.last[name][id] = at
		j.mu.Unlock()
		select {
		case j.moved <- struct{}{}:
		default:
		}
	}
}

// await waits until each of these nodes has had turns of all IDs since a moment.
func (j *judge) await(t *testing.T, since int64, nodes ...string) {
	deadline := time.After(time.Minute)
	for {
		j.mu.Lock()
		missing := slices.ContainsFunc(nodes, func(n string) bool {
			return slices.ContainsFunc(processIDs, func(id string) bool { return j.last[n][id] <= since })
		})
		j.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-j.moved:
		case <-deadline:
			require.False(t, missing, "nodes that get no turns: %v", j.last)
		}
	}
}

// gap is the longest time after a moment without a turn of some ID.
func (j *judge) gap(since int64) (longest time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, turns := range j.turns {
		times := []int64{since}
		for _, at := range turns {
			if at > since {
				times = append(times, at)
			}
		}
		slices.Sort(times)
		for i := range times[1:] {
			longest = max(longest, time.Duration(times[i+1]-times[i]))
		}
	}
	return longest
}

// TestG11_ProcessesShareTheLimitsOfBuckets has three nodes of which one after the other is killed and comes back: whoever owned what, no second
// holds more turns of an ID than its limit, and each ID is served again.
func TestG11_ProcessesShareTheLimitsOfBuckets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases.db")
	j := &judge{moved: make(chan struct{}, 1), turns: make(map[string][]int64), last: make(map[string]map[string]int64)}
	var listening sync.WaitGroup
	nodes := make(map[string]*victim.Process)
	start := func(name string) {
		p := victim.Start(t, life{file, name})
		nodes[name] = p
		listening.Go(func() { j.listen(name, p) })
	}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		start(name)
	}
	j.await(t, boottime(), names...)
	kills := names
	if testing.Short() {
		kills = names[:1]
	}
	for _, name := range kills {
		nodes[name].Kill()
		others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
		killed := boottime()
		j.await(t, killed+int64(2*processLease), others...)
		t.Logf("%s was killed; for %v there was no turn of some ID", name, j.gap(killed).Round(time.Millisecond))
		start(name)
		j.await(t, boottime(), names...)
	}
	for _, p := range nodes {
		p.Kill()
	}
	listening.Wait()

	total := 0
	for id, times := range j.turns {
		var turns []roomtest.Turn
		for _, at := range times {
			turns = append(turns, roomtest.Turn{At: time.Unix(0, at), Cost: 1})
		}
		total += len(turns)
		require.LessOrEqual(t, roomtest.Worst(turns, time.Second), processLimit, "%s", id)
	}
	t.Logf("%d turns of %d IDs", total, len(processIDs))
}
