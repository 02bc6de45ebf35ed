package batch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// gridHavoc is a grid on which ownership moves, processes die and come back, saves are late, and answers get lost.
type gridHavoc struct {
	*grid
	rng   *rand.Rand // its mutex is dice
	dice  sync.Mutex
	mu    sync.Mutex
	told  []told
	ends  map[string]int
	calls int
}

// told is what a caller was told of an operation.
type told struct {
	key    string
	n      int
	caller int
	at     int
	err    error
}

func (h *gridHavoc) random(n int) int {
	h.dice.Lock()
	defer h.dice.Unlock()
	return h.rng.IntN(n)
}

// caller calls at a node until it dies or the time is over, one operation after the other. Of a node that died nobody was told anything.
func (h *gridHavoc) caller(n *gridNode, number int, until time.Time) {
	for time.Now().Before(until) && !n.isDead() {
		h.mu.Lock()
		h.calls++
		t := told{key: fmt.Sprint(h.calls % 5), n: h.calls, caller: number}
		h.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+h.random(200))*time.Millisecond)
		if h.random(4) > 0 {
			t.at, t.err = n.note.Do(ctx, t.key, t.n)
		} else {
			t.at, t.err = Do(ctx, n.p, t.key, func(l *ledger) (int, error) { return noteAt(l, t.n) })
		}
		cancel()
		if n.isDead() {
			return
		}
		h.mu.Lock()
		h.told = append(h.told, t)
		h.ends[endOf(t.err)]++
		h.mu.Unlock()
		time.Sleep(time.Duration(h.random(5)) * time.Millisecond)
	}
}

// endOf names an ending.
func endOf(err error) string {
	for name, is := range map[string]error{
		"cancelled": ErrCancelled, "stale": ErrStaleEpoch, "not owner": ErrNotOwner, "unknown": cluster.ErrUnknown,
		"conflict": ErrConflict, "closed": penstock.ErrClosed, "away": cluster.ErrAway,
	} {
		if errors.Is(err, is) {
			return name
		}
	}
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, context.DeadlineExceeded):
		return "nobody was there"
	}
	return err.Error()
}

// TestG11_BatchHavoc holds what callers were told against what is stored: what was acknowledged is there once, where it was said to be, and
// in the order of each caller; what is unknown is there once at most; everything else is not there.
func TestG11_BatchHavoc(t *testing.T) {
	ends := make(map[string]int)
	stale := 0
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			h := &gridHavoc{grid: newGrid(t), rng: rand.New(rand.NewPCG(seed, 1)), ends: ends}
			h.run(t)
			stale += h.rows.stale
		})
	}
	t.Log(ends, "saves that were refused:", stale)
	for _, end := range []string{"done", "unknown", "not owner", "stale", "cancelled"} {
		require.Positive(t, ends[end], "nobody was told %q", end)
	}
	require.Positive(t, stale)
	require.LessOrEqual(t, len(ends), 9, "%v", ends)
}

func (h *gridHavoc) run(t *testing.T) {
	h.lose = func() (bool, bool) { return h.random(60) == 0, h.random(60) == 0 }
	h.rows.before = func(_ context.Context, _ string, saves bool) {
		time.Sleep(time.Duration(h.random(3)) * time.Millisecond)
		if saves && h.random(30) == 0 {
			time.Sleep(time.Duration(h.random(150)) * time.Millisecond)
		}
	}
	change := func(cfg *Config[string, *ledger]) {
		cfg.KeepLoaded = time.Duration(h.random(2)) * 20 * time.Millisecond
		cfg.MaxOperations = h.random(2) * 3
		cfg.Backoff = 2 * time.Millisecond
		if h.random(2) == 0 {
			cfg.Away = cluster.Refuse
		}
	}
	names := []string{"a", "b", "c"}
	until := time.Now().Add(2 * time.Second)
	var callers sync.WaitGroup
	number := 0
	start := func(name string) *gridNode {
		n := h.start(name, change)
		for range 4 {
			number++
			me := number
			callers.Go(func() { h.caller(n, me, until) })
		}
		return n
	}
	live := make(map[string]*gridNode)
	for _, name := range names {
		live[name] = start(name)
	}
	h.give("a")
	for time.Now().Before(until) {
		time.Sleep(time.Duration(5+h.random(40)) * time.Millisecond)
		name := names[h.random(len(names))]
		switch h.random(8) {
		case 0:
			h.kill(live[name])
			time.Sleep(time.Duration(h.random(20)) * time.Millisecond)
			live[name] = start(name)
		case 1:
			h.move(h.random(gridShards), "")
		default:
			h.move(h.random(gridShards), name)
		}
		for shard := range gridShards { // nobody's shards are taken in the end
			if o, known := live["a"].Owner(shard); !known && h.random(3) == 0 || known && live[o.Name] == nil {
				h.move(shard, names[h.random(len(names))])
			}
		}
	}
	h.give("b")
	callers.Wait()
	time.Sleep(time.Second) // what the dead are still at has an end
	for _, n := range live {
		require.NoError(t, n.p.Close(roomtest.Within(t, time.Minute)))
		requireNobody(t, n.p)
	}
	h.judge(t)
}

func (h *gridHavoc) judge(t *testing.T) {
	t.Helper()
	last := make(map[string]int) // where a caller's last one is, by caller and key
	for _, d := range h.told {
		stored := h.rows.stored(d.key)
		at := slices.Index(stored, d.n)
		switch end := endOf(d.err); end {
		case "done":
			require.Equal(t, d.at, at, "operation %d is not where its caller was told that it is", d.n)
			place := fmt.Sprint(d.caller, "/", d.key)
			if before, ok := last[place]; ok {
				require.Less(t, before, at, "the order of a caller")
			}
			last[place] = at
		case "unknown":
		default:
			require.Equal(t, -1, at, "operation %d is stored, and its caller was told %v", d.n, d.err)
		}
	}
	for key, row := range h.rows.rows {
		all := slices.Sorted(slices.Values(row.done))
		require.Len(t, slices.Compact(all), len(row.done), "key %s: something is stored twice", key)
	}
}
