package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/cluster"
)

// tally is what runs at a node, and the most that ever did, by its functions' own count.
type tally struct {
	mu                   sync.Mutex
	workers, mostWorkers int
	memory, mostMemory   int64
}

// TestG10_NoNodeHasMoreThanItPromises has tasks of three nodes run wherever there is room, while they are killed, given up, and
// nodes are lost. No pool has more at once than it may, nothing runs twice, everyone is answered, and all comes back.
func TestG10_NoNodeHasMoreThanItPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		lose := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(rt, "lost")
		waiting := rapid.SampledFrom([]int{0, 2, 100}).Draw(rt, "MaxWaiting")
		synctest.Test(t, func(t *testing.T) { farStorm(t, seed, lose, waiting) })
	})
}

const (
	stormWorkers = 2
	stormMemory  = 50
)

func farStorm(t *testing.T, seed uint64, lose string, waiting int) {
	defer func() {
		if t.Failed() {
			t.Logf("seed %d, lost %q, MaxWaiting %d", seed, lose, waiting)
		}
	}()
	names := []string{"a", "b", "c"}
	g := newGrid(t, names...)
	tallies := make(map[*Pool]*tally)
	var begun sync.Map // number of the task → true
	asked := make(map[string]*Pool)
	var all []*Pool
	for _, name := range names {
		p := g.pool(name, Config{MaxWorkers: stormWorkers, MaxMemory: stormMemory, MaxWaiting: waiting, MaxWait: time.Second})
		tallies[p] = new(tally)
		all = append(all, p)
	}
	for i, name := range names {
		candidates := []*Pool{g.at(name, names[(i+1)%3]), all[i], g.at(name, names[(i+2)%3])}
		asked[name] = addPool(t, g.sys(name), "asked", Config{
			MaxWaiting: waiting, MaxWait: time.Second, Delegate: func(any) []*Pool { return candidates },
		})
		tallies[asked[name]] = tallies[all[i]] // what is asked here and runs here takes of both
		all = append(all, asked[name], candidates[0], candidates[2])
	}
	work := func(number int, last time.Duration) func(context.Context) (string, error) {
		return deed(t, fmt.Sprint(number), func(ctx context.Context) ([]byte, error) {
			j, _ := JobOf(ctx)
			pool, memory := j.Pool(), j.Task().MaxMemory
			if _, again := begun.LoadOrStore(number, true); again {
				t.Errorf("task %d is run again", number)
			}
			n := tallies[pool]
			n.mu.Lock()
			n.workers++
			n.memory += memory
			n.mostWorkers, n.mostMemory = max(n.mostWorkers, n.workers), max(n.mostMemory, n.memory)
			n.mu.Unlock()
			defer func() {
				n.mu.Lock()
				n.workers--
				n.memory -= memory
				n.mu.Unlock()
			}()
			select {
			case <-time.After(last):
				return nil, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 1))
	var callers sync.WaitGroup
	for number := range 60 {
		p := asked[names[random.IntN(3)]]
		last := time.Duration(random.IntN(100)) * time.Millisecond
		task := Task{Name: "x", MaxMemory: 1 + random.Int64N(30), MaxTime: time.Duration(1+random.IntN(150)) * time.Millisecond}
		patience := time.Hour
		if random.IntN(4) == 0 {
			patience = time.Duration(random.IntN(50)) * time.Millisecond
		}
		start := time.Duration(random.IntN(400)) * time.Millisecond
		callers.Go(func() {
			time.Sleep(start)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_, err := Run(ctx, p, task, work(number, last))
			var no *RejectError
			var late *TimeoutError
			var killed *KilledError
			if err != nil && !errors.As(err, &no) && !errors.As(err, &late) && !errors.As(err, &killed) &&
				!errors.Is(err, cluster.ErrUnknown) && ctx.Err() == nil {
				t.Errorf("task %d: %v", number, err)
			}
		})
	}
	callers.Go(func() {
		time.Sleep(200 * time.Millisecond)
		if lose != "" {
			g.lose(lose)
		}
		asked["b"].Kill("x", nil)
	})
	callers.Wait()
	time.Sleep(time.Minute)
	requireEmpty(t, all...)
	for p, n := range tallies {
		require.LessOrEqual(t, n.mostWorkers, stormWorkers, p.name)
		require.LessOrEqual(t, n.mostMemory, int64(stormMemory), p.name)
		require.Zero(t, n.workers)
	}
}
