package bucket

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// A slice that comes late, or whose rest does, is charged and no more: no window holds more for it.
func TestG1_SlicesThatAreLateExceedNothing(t *testing.T) {
	for seed := range roomtest.Seeds() {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			g := newGrid(t, gridNames...)
			slowest := 1 + random.IntN(60)
			var mu sync.Mutex
			g.delay = func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(random.IntN(slowest)) * time.Millisecond
			}
			families := g.family(Config{Limits: []limit.Limit{{Events: 300, Per: time.Second}}}, gridNames...)
			time.Sleep(1100 * time.Millisecond)
			var l load
			var all sync.WaitGroup
			for i, name := range gridNames {
				all.Go(func() { l.try(name, families[i].Bucket("user"), 300+700*i, 5*time.Second) })
			}
			all.Wait()
			require.LessOrEqual(t, roomtest.Worst(l.turns, time.Second), 300, "seed %d", seed)
			require.Greater(t, l.total(), 5*300/2, "seed %d: %v, messages take up to %d ms", seed, l.had, slowest)
		})
	}
}

// flush is a bucket of another node of which this one was lent much.
func flush(t testing.TB) *Bucket {
	g := newGrid(t, "a", "b")
	b := g.family(Config{Limits: []limit.Limit{{Events: 1_000_000_000, Per: time.Second}}}, "a", "b")[1].Bucket("user")
	b.TryAcquire(Request{})
	e := b.entry.Load()
	e.Value.mu.Lock()
	defer e.Value.mu.Unlock()
	for i := range uint64(4) {
		e.Value.lends().purse.put(&slice{epoch: 1 << 40, number: i + 1, until: 1 << 60, left: maxSlice, grant: new(grant)})
	}
	return b
}

func TestWhatWasLentAllocatesNothing(t *testing.T) {
	b, ctx := flush(t), t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if !b.TryAcquire(Request{}).Allowed {
			t.Fatal("refused")
		}
	}))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := b.Acquire(ctx, Request{}); err != nil {
			t.Fatal(err)
		}
	}))
}

// A throttle holds back what was lent too.
func TestThrottlesHoldWhatWasLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := flush(t)
		require.True(t, b.TryAcquire(Request{}).Allowed)
		b.Throttle(time.Now().Add(50 * time.Millisecond))
		require.False(t, b.TryAcquire(Request{}).Allowed)
		time.Sleep(60 * time.Millisecond)
		require.True(t, b.TryAcquire(Request{}).Allowed)
		b.family.Throttle(time.Now().Add(50 * time.Millisecond))
		require.False(t, b.TryAcquire(Request{}).Allowed)
	})
}

// What a request of a slice really took is settled at the owner, as any.
func TestTurnsOfSlicesAreSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrid(t, "a", "b")
		families := g.family(Config{Limits: []limit.Limit{thousand}}, "a", "b")
		time.Sleep(1100 * time.Millisecond)
		b := families[1].Bucket("user")
		for !b.TryAcquire(Request{}).Allowed {
			time.Sleep(time.Millisecond)
		}
		asked := g.asked
		p, err := b.Acquire(t.Context(), Request{})
		require.NoError(t, err)
		require.Equal(t, asked, g.asked, "the owner was not asked")
		p.Settle(map[string]int{"api": 100})
		time.Sleep(500 * time.Millisecond) // the rest comes back
		require.Equal(t, 101, used(families[0]), "and the other one took 1")
	})
}

func BenchmarkLent(b *testing.B) {
	bucket := flush(b)
	b.ReportAllocs()
	for b.Loop() {
		bucket.TryAcquire(Request{})
	}
}
