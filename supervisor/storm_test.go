package supervisor

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/registry"
)

// tally is the value of the storms' entries.
type tally struct {
	n atomic.Int64
	registry.Life
}

// counted is what the storms send: a part of it is handled, the rest is told why not.
type counted struct {
	wg      *sync.WaitGroup
	handled *atomic.Int64
	refused *atomic.Int64
}

func (m *counted) Undelivered(error) { m.refused.Add(1); m.wg.Done() }

type counter struct{}

func (counter) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*counted); ok {
		m.handled.Add(1)
		m.wg.Done()
	}
}

func countingFamily(t *testing.T, tree *Tree, idle time.Duration) *Family[int, tally] {
	f, err := NewFamily(tree, Spec[int, tally]{
		Kind: "counter", Name: "storm", Spawners: 2, Idle: idle,
		New: func(*registryEntry) actor.Actor { return counter{} },
	})
	require.NoError(t, err)
	return f
}

// In virtual time: many senders whose pauses are about as long as children may idle.
func TestG4_PassivationLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, each, keys = 50, 200, 20
		tree := New(Config{})
		f := countingFamily(t, tree, 5*time.Millisecond)
		var wg sync.WaitGroup
		var handled, refused atomic.Int64
		wg.Add(senders * each)
		for s := range senders {
			go func() {
				for i := range each {
					e, err := f.Get((s + i) % keys)
					if assert.NoError(t, err) {
						time.Sleep(time.Duration(i%9) * time.Millisecond) // and then send to what may have been put away
						f.Send(e, &counted{&wg, &handled, &refused})
					}
				}
			}()
		}
		wg.Wait()
		assert.EqualValues(t, senders*each, handled.Load())
		assert.Zero(t, refused.Load())
		time.Sleep(time.Second)
		synctest.Wait()
		info := tree.Info()
		assert.Greater(t, info.Passivated, uint64(100), "the storm must meet passivation")
		assert.Equal(t, info.Started, info.Passivated)
		assert.Zero(t, f.Len())
		require.NoError(t, tree.Close(t.Context()))
	})
}

// In real time, under the race detector: it ends when every message has been handled and children were put away often
// enough, however long that takes.
func TestG4_G12_PassivationRaces(t *testing.T) {
	const senders, keys = 4, 8
	tree := New(Config{})
	f := countingFamily(t, tree, time.Nanosecond)
	var sending sync.WaitGroup
	var sent, handled, refused atomic.Int64
	for s := range senders {
		sending.Go(func() {
			var wg sync.WaitGroup // of this sender's messages
			defer wg.Wait()
			for i := 0; i < 5000 || tree.Info().Passivated < 50; i++ {
				e, err := f.Get((s + i) % keys)
				if !assert.NoError(t, err) {
					return
				}
				wg.Add(1)
				sent.Add(1)
				f.Send(e, &counted{&wg, &handled, &refused})
				if i%100 == 0 {
					wg.Wait() // let them become idle
				}
			}
		})
	}
	sending.Wait()
	assert.Equal(t, sent.Load(), handled.Load())
	assert.Zero(t, refused.Load())
	require.NoError(t, tree.Close(t.Context()))
	assert.Zero(t, f.Len())
}

// In real time: children fail and stop themselves under fire. Every message is handled or told; none twice.
func TestG4_G12_FailureRaces(t *testing.T) {
	const senders, each, keys = 4, 3000, 8
	tree := New(Config{})
	var handled, refused atomic.Int64
	f, err := NewFamily(tree, Spec[int, tally]{
		Kind: "counter", Name: "storm", Spawners: 2, Restart: Transient,
		Intensity: Intensity{Failures: 1 << 30, Period: time.Hour}, Backoff: Backoff{Min: 1, Max: 1},
		New: func(e *registryEntry) actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				m, ok := ctx.Message().(*counted)
				if !ok {
					return
				}
				switch n := e.Value.n.Add(1); {
				case n%50 == 0:
					panic("every 50th")
				case n%77 == 0:
					ctx.Stop(ctx.Self())
				}
				m.handled.Add(1)
				m.wg.Done()
			})
		},
	})
	require.NoError(t, err)
	var wg, sending sync.WaitGroup
	wg.Add(senders * each)
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				e, err := f.Get((s + i) % keys)
				if assert.NoError(t, err) {
					f.Send(e, &counted{&wg, &handled, &refused})
				}
			}
		})
	}
	sending.Wait()
	wg.Wait() // hangs if one is lost, panics if one is answered twice
	assert.EqualValues(t, senders*each, handled.Load()+refused.Load())
	assert.NotZero(t, handled.Load())
	assert.NotZero(t, refused.Load())
	require.NoError(t, tree.Close(t.Context()))
}

// In real time: what one sender sends to one entry arrives in its order, through failures too.
func TestG12_OrderSurvivesFailures(t *testing.T) {
	const senders, each = 4, 3000
	type numbered struct{ sender, n int }
	tree := New(Config{})
	var mu sync.Mutex
	var last [senders]int
	var wrong []numbered
	done := make(chan struct{})
	left := senders * each
	f, err := NewFamily(tree, Spec[int, tally]{
		Kind: "order", Name: "f", Intensity: Intensity{Failures: 1 << 30, Period: time.Hour}, Backoff: Backoff{Min: 1, Max: 1000},
		New: func(*registryEntry) actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				m, ok := ctx.Message().(numbered)
				if !ok {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if last[m.sender]+1 != m.n {
					wrong = append(wrong, m)
				}
				last[m.sender] = m.n
				if left--; left == 0 {
					close(done)
				}
				if left%100 == 0 && left > 0 {
					panic("every 100th, after it was counted")
				}
			})
		},
	})
	require.NoError(t, err)
	e, err := f.Get(1)
	require.NoError(t, err)
	for s := range senders {
		go func() {
			for n := range each {
				f.Send(e, numbered{s, n + 1})
			}
		}()
	}
	<-done
	mu.Lock()
	defer mu.Unlock()
	assert.Empty(t, wrong)
	require.NoError(t, tree.Close(t.Context()))
}

// All stops of all kinds at once: the tree closes while children are used, fail and idle. Everybody is answered.
func TestG4_G12_CloseUnderFire(t *testing.T) {
	for round := range 20 {
		tree := New(Config{})
		f := countingFamily(t, tree, time.Nanosecond)
		var wg, sending sync.WaitGroup
		var handled, refused atomic.Int64
		started := make(chan struct{}, 4)
		for s := range 4 {
			sending.Go(func() {
				for i := 0; ; i++ {
					e, err := f.Get((s + i) % 16)
					if err != nil {
						assert.ErrorIs(t, err, ErrClosed)
						return
					}
					wg.Add(1)
					f.Send(e, &counted{&wg, &handled, &refused})
					if i == round*10 {
						started <- struct{}{}
					}
				}
			})
		}
		<-started
		require.NoError(t, tree.Close(t.Context()))
		sending.Wait()
		wg.Wait()
		assert.Zero(t, f.Len())
	}
}
