package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/supervisor"
)

// faulty is a line that panics when it is told to, before it has done anything.
type faulty struct {
	*Line[int]
	out, timedOut atomic.Int32 // how many calls may still succeed; below 0: all
}

func newFaulty() *faulty {
	f := &faulty{Line: NewLine[int](LineConfig{})}
	f.out.Store(-1)
	f.timedOut.Store(-1)
	return f
}

func trip(calls *atomic.Int32) {
	if n := calls.Load(); n >= 0 && calls.Add(-1) < 0 {
		panic("a faulty behavior")
	}
}

func (f *faulty) Out(now time.Time) (*Item[int], bool) {
	trip(&f.out)
	return f.Line.Out(now)
}

func (f *faulty) TimedOut(now time.Time, maxTime time.Duration) []*Item[int] {
	trip(&f.timedOut)
	return f.Line.TimedOut(now, maxTime)
}

func (f *faulty) behavior() (Behavior[int], error) { return f, nil }

func TestG4_ARestartLosesNoItemAndNoTaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		p := newPassive(t, PassiveConfig[int]{Behavior: f.behavior})
		first := goDequeue(context.Background(), p, 3)
		synctest.Wait()
		second := goDequeue(context.Background(), p, 3)
		synctest.Wait()
		f.out.Store(2) // the actor fails in the middle of serving the first
		p.mu.Lock()
		for i := range 5 {
			require.NoError(t, p.state.put(time.Now(), i, &Request{}, 1, 0))
		}
		p.mu.Unlock()
		p.seat.Wake()
		assert.Equal(t, taken{values: []int{0, 1, 2}}, <-first)
		assert.Equal(t, taken{values: []int{3, 4}}, <-second)
		synctest.Wait()
		assert.Zero(t, p.Len())
		assert.EqualValues(t, 5, p.Info().Taken)
	})
}

func TestG4_ATakerThatGivesUpInARestartLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		p := newPassive(t, PassiveConfig[int]{Behavior: f.behavior})
		ctx, cancel := context.WithCancel(context.Background())
		first := goDequeue(ctx, p, 3)
		synctest.Wait()
		p.mu.Lock() // what the actor leaves behind that fails in the middle of serving it
		p.state.takers.first.items = []Item[int]{{Value: 1, Seq: 1}, {Value: 2, Seq: 2}}
		p.state.handed = 2
		p.mu.Unlock()
		cancel()
		assert.ErrorIs(t, (<-first).err, context.Canceled)
		items, err := p.Dequeue(context.Background(), 3)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2}, passiveValues(items))
	})
}

func TestG4_BeingGivenUpAnswersTakersAndKeepsItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		p := newPassive(t, PassiveConfig[int]{Behavior: f.behavior})
		waiting := goDequeue(context.Background(), p, 1)
		synctest.Wait()
		f.timedOut.Store(0)
		for range 6 {
			f.timedOut.Store(0)
			p.seat.Wake()
			time.Sleep(time.Second)
		}
		var gaveUp *supervisor.GaveUpError
		require.ErrorAs(t, (<-waiting).err, &gaveUp)
		mustEnqueue(t, p, 1, 2)
		again := goDequeue(context.Background(), p, 1)
		assert.Equal(t, taken{values: []int{1}}, <-again)
		_, err := p.Dequeue(context.Background(), 1)
		require.NoError(t, err)
		again = goDequeue(context.Background(), p, 1)
		synctest.Wait()
		mustEnqueue(t, p, 3)
		assert.Equal(t, taken{values: []int{3}}, <-again, "its next use started the actor again")
	})
}

func TestAPanicOfABehaviorReachesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaulty()
		sys := roomtest.System(t)
		p, err := AddPassive(sys, "test", PassiveConfig[int]{Behavior: f.behavior})
		require.NoError(t, err)
		mustEnqueue(t, p, 1)
		f.out.Store(0)
		_, err = p.Dequeue(context.Background(), 1)
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		items, err := p.Dequeue(context.Background(), 1)
		require.NoError(t, err, "and the queue goes on")
		assert.Equal(t, []int{1}, passiveValues(items))
		_, err = AddPassive(sys, "bad", PassiveConfig[int]{Behavior: func() (Behavior[int], error) { panic("no") }})
		assert.ErrorAs(t, err, &panicked)
		_, err = AddPassive(sys, "bad", PassiveConfig[int]{Behavior: func() (Behavior[int], error) { return nil, errors.New("no disk") }})
		assert.ErrorContains(t, err, "no disk")
	})
}

// TestG4_NothingIsLostInAStorm has many callers come, give up, fail and be failed, and accounts for every item.
func TestG4_NothingIsLostInAStorm(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			f := newFaulty()
			var mu sync.Mutex
			seen := make(map[int]int)
			note := func(value int) {
				mu.Lock()
				defer mu.Unlock()
				seen[value]++
			}
			p := newPassive(t, PassiveConfig[int]{
				Behavior: f.behavior, MaxTime: 50 * time.Millisecond, MaxSize: 40, MaxTakers: 20,
				Dropped: func(x Item[int], _ error) { note(x.Value) },
			})
			var entered atomic.Int64
			var wg sync.WaitGroup
			for caller := range 8 {
				rng := rand.New(rand.NewPCG(seed, uint64(caller)))
				wg.Go(func() {
					for i := range 100 {
						time.Sleep(time.Duration(rng.IntN(2_000)) * time.Microsecond)
						if caller%2 == 0 {
							if p.Enqueue(context.Background(), caller*1000+i) == nil {
								entered.Add(1)
							}
							continue
						}
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(1_500))*time.Microsecond)
						items, _ := p.Dequeue(ctx, 1+rng.IntN(3))
						cancel()
						for _, x := range items {
							note(x.Value)
						}
						if rng.IntN(20) == 0 {
							f.out.Store(int32(rng.IntN(2)))
						}
					}
				})
			}
			wg.Wait()
			f.out.Store(-1)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Zero(t, p.Len())
			require.EqualValues(t, entered.Load(), len(seen), "seed %d", seed)
			for value, times := range seen {
				require.Equal(t, 1, times, "item %d, seed %d", value, seed)
			}
			info := p.Info()
			require.Equal(t, info.Entered, info.Taken+info.Dropped)
			require.Zero(t, p.state.handed+p.state.untold+info.Takers)
		})
	}
}

func TestG4_CloseLetsTakersTakeWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		p, err := AddPassive(sys, "test", PassiveConfig[int]{})
		require.NoError(t, err)
		mustEnqueue(t, p, 1, 2, 3)
		empty, err := AddPassive(sys, "empty", PassiveConfig[int]{})
		require.NoError(t, err)
		waiting := goDequeue(context.Background(), empty, 1)
		synctest.Wait()

		closed := make(chan error, 1)
		go func() { closed <- sys.Close(context.Background()) }()
		assert.ErrorIs(t, (<-waiting).err, penstock.ErrClosed, "nothing will come any more")
		synctest.Wait()
		assert.ErrorIs(t, p.Enqueue(context.Background(), 4), penstock.ErrClosed)
		for i := range 3 {
			items, err := p.Dequeue(context.Background(), 1)
			require.NoError(t, err)
			require.Equal(t, []int{i + 1}, passiveValues(items))
		}
		require.NoError(t, <-closed)
		_, err = p.Dequeue(context.Background(), 1)
		assert.ErrorIs(t, err, penstock.ErrClosed)
	})
}

func TestG4_CloseTellsOfWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		var left []int
		p, err := AddPassive(sys, "test", PassiveConfig[int]{Dropped: func(x Item[int], err error) {
			assert.ErrorIs(t, err, penstock.ErrClosed)
			left = append(left, x.Value)
		}})
		require.NoError(t, err)
		mustEnqueue(t, p, 1, 2, 3)
		err = sys.Close(roomtest.Within(t, time.Second))
		assert.ErrorContains(t, err, `passive queue "test": 3 items were left`)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []int{1, 2, 3}, left)
	})
}

func TestG4_CloseDoesNotWaitForADroppedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		hold := make(chan struct{})
		defer close(hold)
		p, err := AddPassive(sys, "test", PassiveConfig[int]{Dropped: func(Item[int], error) { <-hold }})
		require.NoError(t, err)
		mustEnqueue(t, p, 1)
		assert.ErrorContains(t, sys.Close(roomtest.Within(t, time.Second)), "Dropped is still at work")
	})
}

func TestG6_CloseLeavesNothingOfPassiveQueues(t *testing.T) { // a goroutine or timer left behind fails the bubble
	for _, patience := range []time.Duration{0, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			sys := roomtest.System(t)
			var wg sync.WaitGroup
			var entered, ended atomic.Int64
			for q := range 5 {
				p, err := AddPassive(sys, fmt.Sprint(q), PassiveConfig[int]{
					MaxTime: 10 * time.Minute, Dropped: func(Item[int], error) { ended.Add(1) },
				})
				require.NoError(t, err)
				for range 20 {
					wg.Go(func() {
						if p.Enqueue(context.Background(), 1) == nil {
							entered.Add(1)
						}
						time.Sleep(500 * time.Millisecond)
						items, err := p.Dequeue(context.Background(), 3)
						ended.Add(int64(len(items)))
						if err != nil {
							assert.ErrorIs(t, err, penstock.ErrClosed)
						}
					})
				}
			}
			synctest.Wait()
			for range 3 { // several times at once
				wg.Go(func() { _ = sys.Close(roomtest.Within(t, patience)) })
			}
			wg.Wait()
			assert.EqualValues(t, 100, entered.Load())
			assert.EqualValues(t, 100, ended.Load())
			_, err := AddPassive(sys, "late", PassiveConfig[int]{})
			assert.ErrorIs(t, err, penstock.ErrClosed)
		})
	}
}

func TestG5_ThePassiveHeapStaysFlatUnderOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a longer overload")
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPassive(t, PassiveConfig[[]byte]{MaxSize: 100, MaxTime: time.Second})
		overload := func(rounds int) {
			for range rounds {
				for range 1000 { // ten times what it holds
					_ = p.EnqueueRequest(context.Background(), make([]byte, 1024), Request{Flow: fmt.Sprint(rand.IntN(1000))})
				}
				_, _ = p.Dequeue(context.Background(), 10)
				time.Sleep(100 * time.Millisecond)
			}
		}
		overload(50)
		before := roomtest.Heap()
		overload(300)
		assert.Less(t, roomtest.Heap(), before+before/5+1<<20)
	})
}

func TestPassiveMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		sys := roomtest.System(t, penstock.WithName("sys"), penstock.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
		p, err := AddPassive(sys, "jobs", PassiveConfig[int]{MaxSize: 3})
		require.NoError(t, err)
		mustEnqueue(t, p, 1, 2, 3)
		require.Error(t, p.Enqueue(context.Background(), 4))
		_, err = p.Dequeue(context.Background(), 1)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		assert.Equal(t, map[string]float64{
			"penstock.queue.passive.items jobs entered": 3, "penstock.queue.passive.items jobs taken": 1,
			"penstock.queue.passive.items jobs dropped": 0, "penstock.queue.passive.items jobs refused": 1,
			"penstock.queue.passive.held jobs": 2, "penstock.queue.passive.takers jobs": 0, "penstock.queue.passive.oldest jobs": 2,
		}, roomtest.Series(t, reader, "penstock.queue", "penstock.outcome"))
	})
}

// A Close whose context never ends waits for those who take, and not for ever.
func TestG6_CloseDoesNotWaitForTakersWhoNeverCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		dropped := make(chan int, 10)
		p, err := AddPassive(sys, "test", PassiveConfig[int]{Dropped: func(x Item[int], _ error) { dropped <- x.Value }})
		require.NoError(t, err)
		for i := range 6 {
			require.NoError(t, p.Enqueue(context.Background(), i))
		}
		taken := make(chan int)
		go func() { // a slow one, who leaves after three
			for n := range 3 {
				time.Sleep(4 * time.Second)
				_, err := p.Dequeue(context.Background(), 1)
				assert.NoError(t, err)
				taken <- n
			}
		}()
		closed := make(chan error)
		start := time.Now()
		go func() { closed <- sys.Close(context.Background()) }()
		for range 3 {
			<-taken
		}
		err = <-closed
		assert.ErrorIs(t, err, errNobodyTakes)
		assert.ErrorContains(t, err, "3 items were left")
		assert.GreaterOrEqual(t, time.Since(start), 12*time.Second+drainIdle)
		assert.LessOrEqual(t, time.Since(start), 12*time.Second+2*drainIdle)
		synctest.Wait()
		assert.Len(t, dropped, 3)
	})
}
