package stat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// TestG12_EverythingAtOnce uses a buffer in every way from many goroutines, while its keys are put away, its sink fails and its
// actors crash, and closes it under that. What was accepted is what is stored.
func TestG12_EverythingAtOnce(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 400
	}
	sink := newTable[string]()
	var calls atomic.Int64
	sink.before = func(Flush[string]) error {
		if calls.Add(1)%5 == 1 {
			return fmt.Errorf("no: %w", ErrNotStored)
		}
		return nil
	}
	sink.after = func(Flush[string]) error {
		if calls.Load()%7 == 1 {
			return errUnsure
		}
		return nil
	}
	b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Millisecond, Backoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, Idle: 2 * time.Millisecond, MaxKeys: 60, MaxBatch: 8})
	hot := b.Counter("hot")
	var mu sync.Mutex
	accepted := make(map[string]int64)
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			mine := make(map[string]int64)
			add := func(key string, n int64, add func(n int64) error) error {
				err := add(n)
				if err == nil {
					mine[key] += n
				}
				return err
			}
			for round := range rounds {
				old, fresh := fmt.Sprint("key-", rng.IntN(20)), fmt.Sprint("new-", i, "-", round)
				errs := []error{
					add(old, 2, func(n int64) error { return b.Increment(old, n) }),
					add("hot", 3, hot.Add),
					add("hot", 1, func(n int64) error { return b.Increment("hot", n) }),
					add(fresh, 1, func(n int64) error { return b.Increment(fresh, n) }),
					add(old, 1, b.Counter(old).Add),
				}
				for _, err := range errs {
					if err != nil && !errors.Is(err, penstock.ErrFull) && !errors.Is(err, penstock.ErrClosed) {
						t.Error(err)
					}
				}
				switch rng.IntN(40) {
				case 0:
					_ = b.Flush(context.Background(), old)
				case 1:
					_ = b.FlushAsync(old)
				case 2:
					_ = b.FlushAll(roomtest.Within(t, time.Millisecond))
				case 3:
					b.Info()
				case 4:
					crash(b.ledger, old)
				default:
					b.Count(old)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for key, n := range mine {
				accepted[key] += n
			}
		})
	}
	closed := make(chan error)
	go func() {
		for sink.called() < rounds/4 { // in the middle of it
			time.Sleep(time.Millisecond)
		}
		closed <- b.Close(context.Background())
	}()
	require.NoError(t, <-closed)
	users.Wait()
	requireSame(t, accepted, sink.all())
	require.Greater(t, accepted["hot"], int64(rounds))
	sink.check(t)
}

// TestG12_OneKeyFromEverySide has it counted, flushed and put away all the time, and nothing else.
func TestG12_OneKeyFromEverySide(t *testing.T) {
	sink := newTable[int]()
	b := newBuffer(t, Config[int]{Sink: sink, Interval: time.Millisecond, Idle: time.Millisecond, MaxKeys: 1})
	c := b.Counter(1)
	var users sync.WaitGroup
	const rounds = 3000
	for range 4 {
		users.Go(func() {
			for range rounds {
				if err := errors.Join(b.Increment(1, 1), c.Add(2)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	var flusher sync.WaitGroup
	flusher.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := b.Flush(context.Background(), 1); err != nil {
					t.Error(err)
				}
			}
		}
	})
	users.Wait()
	close(done)
	flusher.Wait()
	require.NoError(t, b.Close(context.Background()))
	require.EqualValues(t, 4*rounds*3, sink.sum(1))
}
