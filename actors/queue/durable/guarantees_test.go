package durable

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/queue"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/supervisor"
)

// faulty is a line that panics when it is told to.
type faulty struct {
	queue.Behavior[stand]
	broken bool
}

func (f *faulty) TimedOut(now time.Time, maxTime time.Duration) []*item {
	if f.broken {
		f.broken = false
		panic("a faulty line")
	}
	return f.Behavior.TimedOut(now, maxTime)
}

// breakable puts a faulty line into a queue.
func breakable[T any](q *Queue[T]) func() {
	q.vault.mu.Lock()
	defer q.vault.mu.Unlock()
	f := &faulty{Behavior: q.vault.state.line}
	q.vault.state.line = f
	return func() {
		q.vault.mu.Lock()
		f.broken = true
		q.vault.mu.Unlock()
		q.vault.seat.Wake()
	}
}

func TestG4_ARestartLosesNoItemAndNoTaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{Visibility: time.Minute})
		crash := breakable(q)
		enqueue(t, q, 1)
		dequeue(t, q, 1)
		done := make(chan []Delivery[int], 2)
		for range 2 {
			go func() { list, _ := q.Dequeue(context.Background(), 1); done <- list }()
			synctest.Wait()
		}
		crash()
		synctest.Wait()
		crash()
		synctest.Wait()
		enqueue(t, q, 2)
		assert.Equal(t, []int{2}, values(<-done))
		assert.Equal(t, []int{1}, values(<-done), "visibility ends all the same")
	})
}

// TestG4_NoLockIsHeldThatTheActorNeeds has the actor run on the goroutine of whoever wakes it.
func TestG4_NoLockIsHeldThatTheActorNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t, penstock.WithDispatcher(actor.NewSynchronizedDispatcher(300)))
		q, err := Add(sys, "test", Config[int]{Path: filepath.Join(t.TempDir(), "queue"), Visibility: time.Minute})
		require.NoError(t, err)
		_, err = q.Dequeue(roomtest.Within(t, time.Second), 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		enqueue(t, q, 1)
		list := dequeue(t, q, 1)
		require.NoError(t, q.Extend(list[0].Receipt, time.Second))
		list = dequeue(t, q, 1) // it comes back after that second
		require.NoError(t, q.Nack(context.Background(), list[0].Receipt, time.Second, nil))
		list = dequeue(t, q, 1)
		require.NoError(t, q.Ack(context.Background(), list[0].Receipt))
	})
}

func TestG4_BeingGivenUpAnswersTakersAndKeepsItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, Config[int]{})
		crash := breakable(q)
		done := make(chan error)
		go func() { _, err := q.Dequeue(context.Background(), 1); done <- err }()
		for range 6 {
			synctest.Wait()
			crash()
			time.Sleep(time.Second)
		}
		var gaveUp *supervisor.GaveUpError
		require.ErrorAs(t, <-done, &gaveUp)
		enqueue(t, q, 1)
		assert.Equal(t, []int{1}, values(dequeue(t, q, 1)), "its next use starts the actor again")
	})
}

func TestG4_CloseWaitsForAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		q, err := Add(sys, "test", Config[int]{Path: filepath.Join(t.TempDir(), "queue")})
		require.NoError(t, err)
		enqueue(t, q, 1, 2, 3)
		list := dequeue(t, q, 2)
		done := make(chan error)
		go func() { done <- sys.Close(context.Background()) }()
		synctest.Wait()
		assert.ErrorIs(t, q.Enqueue(context.Background(), 4), penstock.ErrClosed)
		_, err = q.Dequeue(context.Background(), 1)
		assert.ErrorIs(t, err, penstock.ErrClosed, "what waits is safe where it is")
		require.NoError(t, q.Ack(context.Background(), list[0].Receipt))
		require.NoError(t, q.Nack(context.Background(), list[1].Receipt, 0, nil))
		require.NoError(t, <-done)
	})
}

func TestG4_CloseTellsWhatIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		path := filepath.Join(t.TempDir(), "queue")
		q, err := Add(sys, "test", Config[int]{Path: path})
		require.NoError(t, err)
		enqueue(t, q, 1, 2, 3)
		dequeue(t, q, 2)
		err = sys.Close(roomtest.Within(t, time.Second))
		assert.ErrorContains(t, err, "2 deliveries were not acknowledged")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = Add(sys, "late", Config[int]{Path: path})
		assert.ErrorIs(t, err, penstock.ErrClosed)
	})
}

func TestG4_CloseAnswersThoseWhoWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		q, err := Add(sys, "test", Config[int]{Path: filepath.Join(t.TempDir(), "queue")})
		require.NoError(t, err)
		d := &disk{hold: make(chan struct{})}
		d.between(q)
		done := make(chan error, 2)
		for i := range 2 {
			go func() { done <- q.Enqueue(context.Background(), i) }()
			synctest.Wait()
		}
		closed := make(chan error)
		go func() { closed <- sys.Close(roomtest.Within(t, time.Second)) }()
		time.Sleep(2 * time.Second)
		close(d.hold)
		require.NoError(t, <-done, "it was being written")
		assert.ErrorIs(t, <-done, penstock.ErrClosed, "it was not")
		require.NoError(t, <-closed)
	})
}

func TestG6_CloseLeavesNothing(t *testing.T) { // a goroutine or timer left behind fails the bubble
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		dir := t.TempDir()
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			q, err := Add(sys, name, Config[int]{Path: filepath.Join(dir, name), Visibility: time.Second})
			require.NoError(t, err)
			for i := range 10 {
				wg.Go(func() {
					_ = q.Enqueue(context.Background(), i)
					if list, err := q.Dequeue(context.Background(), 2); err == nil && i%2 == 0 {
						_ = q.Ack(context.Background(), receipts(list)...)
					}
				})
			}
		}
		for range 3 { // under load, several times at once
			wg.Go(func() { _ = sys.Close(roomtest.Within(t, time.Minute)) })
		}
		wg.Wait()
		for _, name := range []string{"a", "b", "c"} {
			_, err := Add(roomtest.System(t), name, Config[int]{Path: filepath.Join(dir, name)})
			require.NoError(t, err, "its file is free")
		}
	})
}

func TestQ15_AnItemThatEndsItsProcessIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config[int]{Path: filepath.Join(t.TempDir(), "queue"), MaxTries: 2}
		for try := range 2 {
			sys := roomtest.System(t)
			q, err := Add(sys, "test", cfg)
			require.NoError(t, err)
			if try == 0 {
				enqueue(t, q, 1)
			}
			assert.Equal(t, try+1, dequeue(t, q, 1)[0].Tries)
			_ = sys.Close(roomtest.EndedContext())
		}
		q, err := Add(roomtest.System(t), "test", cfg)
		require.NoError(t, err)
		dead, err := q.Dead(context.Background(), 1)
		require.NoError(t, err)
		require.Len(t, dead, 1)
		assert.Equal(t, errLastTry.Error(), dead[0].Reason)
	})
}

// TestQ15_NothingIsLostInAStorm has many callers put in, take, acknowledge, give back, forget and give up, on a disk that
// fails now and then and with processes that end in the middle of it, and accounts for every item.
func TestQ15_NothingIsLostInAStorm(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			s := &storm{t: t, path: filepath.Join(t.TempDir(), "queue"), putIn: make(map[int]bool), maybe: make(map[int]bool), acked: make(map[int]int), unsure: make(map[int]bool)}
			for life := range 4 {
				s.live(rand.New(rand.NewPCG(seed, uint64(life))))
			}
			s.reckon()
		})
	}
}

type storm struct {
	t      *testing.T
	path   string
	mu     sync.Mutex
	next   int
	putIn  map[int]bool // certainly
	maybe  map[int]bool // perhaps
	acked  map[int]int  // certainly, how often
	unsure map[int]bool // perhaps
}

func (s *storm) live(seeds *rand.Rand) {
	sys := roomtest.System(s.t)
	q, err := Add(sys, "test", Config[int]{Path: s.path, Visibility: 20 * time.Millisecond, MaxTries: maxCount})
	require.NoError(s.t, err)
	q.vault.store.db.NoSync = true // the machine does not end
	var d disk
	d.between(q)
	crash := breakable(q)
	var wg sync.WaitGroup
	for range 6 {
		rng := rand.New(rand.NewPCG(seeds.Uint64(), 1))
		wg.Go(func() {
			for range 40 {
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
				s.put(q, rng)
				s.take(q, rng)
				if rng.IntN(60) == 0 {
					d.fail.Store(true)
					time.Sleep(time.Millisecond)
					d.fail.Store(false)
				}
				if rng.IntN(100) == 0 {
					crash()
				}
			}
		})
	}
	if seeds.IntN(2) == 0 {
		wg.Wait()
	} else {
		time.Sleep(30 * time.Millisecond)
	}
	_ = sys.Close(roomtest.EndedContext())
	wg.Wait()
}

func (s *storm) put(q *Queue[int], rng *rand.Rand) {
	s.mu.Lock()
	s.next++
	x := s.next
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rng.IntN(5000))*time.Microsecond)
	defer cancel()
	err := q.EnqueueRequest(ctx, x, queue.Request{Flow: []string{"a", "b"}[rng.IntN(2)]})
	var unknown *UnknownError
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putIn[x] = err == nil
	s.maybe[x] = errors.As(err, &unknown)
}

func (s *storm) take(q *Queue[int], rng *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(5000))*time.Microsecond)
	defer cancel()
	list, err := q.Dequeue(ctx, 1+rng.IntN(3))
	if err != nil {
		return
	}
	for _, d := range list {
		switch rng.IntN(4) {
		case 0:
			_ = q.Nack(context.Background(), d.Receipt, time.Duration(rng.IntN(3))*time.Millisecond, nil)
		case 1: // forgotten
		default:
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
			err := q.Ack(context.Background(), d.Receipt)
			var stale *StaleError
			s.mu.Lock()
			if err == nil {
				s.acked[d.Value]++
			} else if !errors.As(err, &stale) {
				s.unsure[d.Value] = true
			}
			s.mu.Unlock()
		}
	}
}

func (s *storm) reckon() {
	q, err := Add(roomtest.System(s.t), "test", Config[int]{Path: s.path, MaxTries: maxCount})
	require.NoError(s.t, err)
	left := make(map[int]bool)
	time.Sleep(time.Second)
	if n := q.Len(); n > 0 {
		for _, d := range dequeue(s.t, q, n) {
			require.False(s.t, left[d.Value], "item %d is there twice", d.Value)
			left[d.Value] = true
		}
	}
	require.Len(s.t, left, q.Len())
	require.Zero(s.t, q.Info().Dead)
	for x := 1; x <= s.next; x++ {
		require.LessOrEqual(s.t, s.acked[x], 1, "item %d was acknowledged twice", x)
		switch {
		case s.acked[x] > 0:
			require.True(s.t, s.putIn[x] || s.maybe[x], "item %d was handed out and not put in", x)
			require.False(s.t, left[x], "item %d was acknowledged and came back", x)
		case s.putIn[x]:
			require.True(s.t, left[x] || s.unsure[x], "item %d was put in and is lost", x)
		case !s.maybe[x]:
			require.False(s.t, left[x], "item %d was refused and came", x)
		}
	}
	require.NotEmpty(s.t, s.acked)
}

func TestMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	sys := roomtest.System(t, penstock.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	q, err := Add(sys, "jobs", Config[int]{Path: filepath.Join(t.TempDir(), "queue"), MaxSize: 3})
	require.NoError(t, err)
	enqueue(t, q, 1, 2, 3)
	require.Error(t, q.Enqueue(context.Background(), 4))
	require.NoError(t, q.Ack(context.Background(), dequeue(t, q, 1)[0].Receipt))

	assert.Equal(t, map[string]float64{
		"penstock.queue.durable.items jobs enqueued": 3, "penstock.queue.durable.items jobs delivered": 1, "penstock.queue.durable.items jobs acknowledged": 1,
		"penstock.queue.durable.items jobs returned": 0, "penstock.queue.durable.items jobs dead": 0, "penstock.queue.durable.items jobs refused": 1,
		"penstock.queue.durable.held jobs waiting": 2, "penstock.queue.durable.held jobs delayed": 0, "penstock.queue.durable.held jobs out": 0, "penstock.queue.durable.held jobs dead": 0,
		"penstock.queue.durable.takers jobs": 0, "penstock.queue.durable.commit jobs ok": 5, "penstock.queue.durable.batch jobs ok": 5,
	}, roomtest.Series(t, reader, "penstock.queue", "penstock.outcome", "penstock.state"))
}
