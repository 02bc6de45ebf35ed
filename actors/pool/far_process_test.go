package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// farLife is what a node's process is told.
type farLife struct {
	Dir, Name string
	Asks      []string // nodes whose pools its tasks may go to; none: it has a pool
}

const (
	farLease   = time.Second
	farWorkers = 2
	farCallers = 8
	farNap     = 50 * time.Millisecond
	farLong    = time.Hour // of those that end by being killed only
)

type nap struct {
	Mark string
	Time time.Duration
}

// remoteNap notes that it was begun, sleeps, and tells whose child it is.
var remoteNap = Register("nap", func(_ context.Context, n nap) (int, error) {
	f, err := os.OpenFile(n.Mark, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = f.WriteString("begun\n")
	time.Sleep(n.Time)
	return os.Getppid(), errors.Join(err, f.Close())
})

func (l farLife) run() error {
	ctx := context.Background()
	db, err := sqlite.Open(filepath.Join(l.Dir, "leases.db"))
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
	if _, err := cluster.Join(ctx, sys, cluster.Config{Name: l.Name, Bind: "127.0.0.1:0", Leases: leases, Lease: farLease, Shards: 8}); err != nil {
		return err
	}
	if len(l.Asks) > 0 {
		return l.ask(ctx, sys)
	}
	p, err := New(sys, "work", Config{Clustered: true, MaxWorkers: farWorkers, MaxWaiting: 100, Processes: Processes{Uncapped: true}})
	if err != nil {
		return err
	}
	victim.Say("pid", fmt.Sprintf(" %d", os.Getpid()))
	for last := ""; ; time.Sleep(5 * time.Millisecond) {
		info, long := p.Info(), 0
		for _, j := range info.Jobs {
			if j.Name == "long" && !j.Waiting {
				long++
			}
		}
		if now := fmt.Sprintf(" %d, long %d", info.Workers, long); now != last {
			last = now
			victim.Say("workers", now)
		}
	}
}

// ask keeps callers busy with tasks that other nodes run, and says what became of each.
func (l farLife) ask(ctx context.Context, sys *penstock.System) error {
	var far []*Pool
	for _, member := range l.Asks {
		p, err := At(sys, member, "work")
		if err != nil {
			return err
		}
		far = append(far, p)
	}
	p, err := New(sys, "p", Config{Delegate: func(any) []*Pool { return far }, MaxWaiting: 100})
	if err != nil {
		return err
	}
	var number atomic.Int64
	for range farCallers {
		go func() {
			for {
				n, task, last := number.Add(1), Task{Name: "nap"}, farNap
				if _, err := os.Stat(filepath.Join(l.Dir, "long")); err == nil {
					task, last = Task{Name: "long", MaxTime: 2 * farLong}, farLong
				}
				pid, err := Run(ctx, p, task, remoteNap.With(nap{filepath.Join(l.Dir, fmt.Sprintf("nap-%d", n)), last}))
				var no *RejectError
				var lost *LostError
				switch {
				case err == nil:
					victim.Say("ok", fmt.Sprintf(" %d", pid))
				case errors.As(err, &lost):
					victim.Say("lost", fmt.Sprintf(" %s %v", lost.Node, errors.Is(err, cluster.ErrUnknown)))
				case errors.As(err, &no):
					time.Sleep(10 * time.Millisecond)
				default:
					victim.Say("error", fmt.Sprintf(" %v", err))
				}
			}
		}()
	}
	select {}
}

// farHearing is what the nodes have said.
type farHearing struct {
	mu    sync.Mutex
	lines map[string]int    // how often each was said
	last  map[string]string // line of each node
	moved chan struct{}
}

func (h *farHearing) listen(name string, p *victim.Process) {
	for line := range p.Lines() {
		h.mu.Lock()
		h.lines[name+": "+line]++
		h.last[name] = line
		h.mu.Unlock()
		select {
		case h.moved <- struct{}{}:
		default:
		}
	}
}

func (h *farHearing) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		h.mu.Lock()
		yes := done()
		h.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-h.moved:
		case <-deadline:
			require.Failf(t, "it does not come to it", "%s: %v", what, h.lines)
		}
	}
}

// TestG10_ProcessesRunTasksForOneAnother kills a node that runs tasks for another one, and then stops and kills that other one.
func TestG10_ProcessesRunTasksForOneAnother(t *testing.T) {
	dir := t.TempDir()
	h := &farHearing{lines: make(map[string]int), last: make(map[string]string), moved: make(chan struct{}, 1)}
	nodes := make(map[string]*victim.Process)
	var listening sync.WaitGroup
	pids := make(map[string]string)
	for _, name := range []string{"b", "c", "a"} {
		l := farLife{Dir: dir, Name: name}
		if name == "a" {
			l.Asks = []string{"b", "c"}
		}
		p := victim.Start(t, l)
		nodes[name] = p
		listening.Go(func() { h.listen(name, p) })
		if name != "a" {
			h.await(t, name+" has a pool", func() bool {
				for line := range h.lines {
					if pid, ok := strings.CutPrefix(line, name+": pid "); ok {
						pids[name] = pid
					}
				}
				return pids[name] != ""
			})
		}
	}
	done := func(node string) int { return h.lines["a: ok "+pids[node]] }
	h.await(t, "both run tasks", func() bool { return done("b") > 0 && done("c") > 0 })

	nodes["b"].Kill()
	h.await(t, "it is not known what became of some", func() bool { return h.lines["a: lost b true"] > 0 })
	was := 0
	h.await(t, "", func() bool { was = done("c"); return true })
	h.await(t, "the other one goes on", func() bool { return done("c") > was+10 })

	busy := fmt.Sprintf("workers %d, long %d", farWorkers, farWorkers)
	back := func() time.Duration {
		since := time.Now()
		h.await(t, "all workers come back", func() bool { return h.last["c"] == "workers 0, long 0" })
		return time.Since(since).Round(time.Millisecond)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long"), nil, 0o600))
	h.await(t, "what runs would not end for an hour", func() bool { return h.last["c"] == busy })
	nodes["a"].Freeze()
	t.Logf("the workers were back %v after the caller fell silent", back())
	nodes["a"].Signal(syscall.SIGCONT)
	h.await(t, "the caller goes on", func() bool { return h.last["c"] == busy })
	nodes["a"].Kill()
	t.Logf("the workers were back %v after the caller's death", back())
	nodes["c"].Kill()
	listening.Wait()

	marks, err := filepath.Glob(filepath.Join(dir, "nap-*"))
	require.NoError(t, err)
	for _, mark := range marks {
		text, err := os.ReadFile(mark)
		require.NoError(t, err)
		require.LessOrEqual(t, strings.Count(string(text), "begun"), 1, "%s was run again", mark)
	}
	for line := range h.lines {
		require.NotContains(t, line, "error")
		var n int
		if _, err := fmt.Sscanf(line[3:], "workers %d", &n); err == nil {
			require.LessOrEqual(t, n, farWorkers)
		}
	}
	t.Logf("%d tasks, %d of them at b and %d at c, and %d of which nobody knows", len(marks), done("b"), done("c"), h.lines["a: lost b true"])
}
