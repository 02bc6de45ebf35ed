package bucket

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

// TestG12_EverythingAtOnce uses every part of a family from many goroutines in real time. It is for the race detector,
// and checks besides that every call returns.
func TestG12_EverythingAtOnce(t *testing.T) {
	f := newFamily(t, Config{
		Limits:     []limit.Limit{{Name: "a", Events: 50, Per: 5 * time.Millisecond}, {Name: "b", Events: 1000, Per: time.Second, Algorithm: limit.Calendar}},
		MaxWaiting: 50,
		Idle:       10 * time.Millisecond,
		Headroom:   Headroom{Classes: []Class{{MaxNice: 0, Share: 1}, {MaxNice: MaxNice, Share: 0.5}}},
		Aging:      time.Millisecond,
	})
	var mu sync.Mutex
	var before FamilyInfo
	told := func(f *Family) { // counters never fall
		mu.Lock()
		defer mu.Unlock()
		after := f.Info()
		assert.GreaterOrEqual(t, after.Passed, before.Passed)
		assert.GreaterOrEqual(t, after.Refused, before.Refused)
		before = after
	}
	events := f.sys.Tree().Subscribe(1)
	defer events.Close()
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 2))
			for range 200 {
				b := f.Bucket(ids(8)[rng.IntN(8)])
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(4000))*time.Microsecond)
				r := Request{Nice: rng.IntN(40) - 20, Cost: 1 + rng.IntN(3)}
				switch rng.IntN(12) {
				case 0, 1, 2:
					if p, err := b.Acquire(ctx, r); err == nil {
						p.Settle(map[string]int{"a": rng.IntN(5)})
					}
				case 3, 4, 5:
					b.TryAcquire(r)
				case 6, 7:
					r.Key = "shared"
					_, _ = Do(ctx, b, r, func(context.Context) (int, error) { return 1, nil })
				case 8:
					b.Throttle(time.Now().Add(time.Millisecond))
				case 9:
					b.Info()
					told(f)
					f.Lookup("user-0")
				case 10:
					_ = f.SetLimits(limit.Limit{Name: "a", Events: 30 + rng.IntN(30), Per: 5 * time.Millisecond},
						limit.Limit{Name: "b", Events: 1000, Per: time.Second, Algorithm: limit.Calendar})
				case 11:
					crash(f, b.ID())
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.NoError(t, f.Close(context.Background()))
	assert.Zero(t, f.Len())
	assert.Zero(t, f.Info().Waiting)
}
