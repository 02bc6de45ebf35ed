package queue_test

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
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/actors/sampler"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/internal/victim"
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
	processLimit   = 4
	processRate    = 100
	processJob     = 2 * time.Millisecond
	processCallers = 8
)

// boottime is the clock that all processes of a machine share.
func boottime() int64 {
	var t unix.Timespec
	victim.Must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &t))
	return t.Nano()
}

// run joins the others, and keeps callers busy with jobs that a counter and a rate of the whole cluster hold back. It says when each begins and ends.
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
	_, err = sampler.Add(sys, "load", sampler.Config{Source: constant(1), Thresholds: []float64{1}, Clustered: true})
	err = errors.Join(err,
		queue.AddCounter(sys, "db", queue.Counter{Limit: processLimit, Clustered: true}),
		queue.AddGroupRate(sys, "api", queue.Rate{PerSecond: processRate, Clustered: true}))
	if err != nil {
		return err
	}
	q, err := queue.Add(sys, "q", queue.Config{Regulators: []queue.Regulator{queue.NamedCounter("db", 1), queue.GroupRate("api")}})
	if err != nil {
		return err
	}
	for range processCallers {
		go func() {
			for {
				victim.Must(q.Run(ctx, queue.Request{}, func(context.Context) error {
					began := boottime()
					time.Sleep(processJob)
					victim.Say("job", fmt.Sprintf(" %d %d", began, boottime()))
					return nil
				}))
			}
		}()
	}
	for {
		victim.Say("levels", fmt.Sprintf(" %d", len(sampler.Current(sys)["load"].Remote)))
		time.Sleep(100 * time.Millisecond)
	}
}

// constant is a source that always says the same.
type constant float64

func (c constant) Sample(context.Context) (float64, error) { return float64(c), nil }

// judge holds what the nodes say against one another.
type judge struct {
	mu     sync.Mutex
	jobs   [][2]int64
	last   map[string]int64 // when a node's job began last
	levels map[string]int   // of how many others it knows the level
	moved  chan struct{}
}

func (j *judge) listen(name string, p *victim.Process) {
	for line := range p.Lines() {
		var began, ended int64
		var levels int
		j.mu.Lock()
		if _, err := fmt.Sscanf(line, "job %d %d", &began, &ended); err == nil {
			j.jobs = append(j.jobs, [2]int64{began, ended})
			j.last[name] = began
		}
		if _, err := fmt.Sscanf(line, "levels %d", &levels); err == nil {
			j.levels[name] = levels
		}
		j.mu.Unlock()
		select {
		case j.moved <- struct{}{}:
		default:
		}
	}
}

// await waits until each of these nodes has begun a job since a moment, and knows the levels of so many others.
func (j *judge) await(t *testing.T, since int64, levels int, nodes ...string) {
	deadline := time.After(time.Minute)
	for {
		j.mu.Lock()
		missing := slices.ContainsFunc(nodes, func(n string) bool { return j.last[n] <= since || j.levels[n] != levels })
		j.mu.Unlock()
		if !missing {
			return
		}
		select {
		case <-j.moved:
		case <-deadline:
			require.False(t, missing, "nodes whose jobs do not go: last %v, levels %v", j.last, j.levels)
		}
	}
}

// TestG11_ProcessesShareACounterAndARate has three nodes of which one after the other is killed and comes back: whoever owned what, no second holds
// more than the rate, and no more jobs run than the counter has.
func TestG11_ProcessesShareACounterAndARate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases.db")
	j := &judge{moved: make(chan struct{}, 1), last: make(map[string]int64), levels: make(map[string]int)}
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
	j.await(t, boottime(), 2, names...)
	kills := names
	if testing.Short() {
		kills = names[:1]
	}
	for _, name := range kills {
		nodes[name].Kill()
		others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
		killed := boottime()
		j.await(t, killed+int64(2*processLease), 1, others...)
		j.mu.Lock()
		gap := int64(0)
		begins := []int64{killed}
		for _, job := range j.jobs {
			if job[0] > killed {
				begins = append(begins, job[0])
			}
		}
		j.mu.Unlock()
		slices.Sort(begins)
		for i := range begins[1:] {
			gap = max(gap, begins[i+1]-begins[i])
		}
		t.Logf("%s was killed; for %v no job began", name, time.Duration(gap).Round(time.Millisecond))
		start(name)
		j.await(t, boottime(), 2, names...)
	}
	for _, p := range nodes {
		p.Kill()
	}
	listening.Wait()

	var turns []roomtest.Turn
	var most int
	var ends []int64
	slices.SortFunc(j.jobs, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	for _, job := range j.jobs {
		turns = append(turns, roomtest.Turn{At: time.Unix(0, job[0]), Cost: 1})
		ends = slices.DeleteFunc(ends, func(end int64) bool { return end <= job[0] })
		ends = append(ends, job[1])
		most = max(most, len(ends))
	}
	t.Logf("%d jobs, at most %d at a time", len(j.jobs), most)
	require.LessOrEqual(t, most, processLimit)
	require.LessOrEqual(t, roomtest.Worst(turns, time.Second), processRate)
}
