package stat

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestS9_FlushAsyncIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Hour})
		increment(t, b, "page", 3)
		increment(t, b, "other", 1)
		require.NoError(t, b.FlushAsync("page"))
		require.NoError(t, b.FlushAsync("nobody"))
		synctest.Wait()
		require.Equal(t, map[string]int64{"page": 3}, sink.all())
		requireCount(t, b, "other", 1)
	})
}

func TestS9_FlushOfNothingReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		start := time.Now()
		require.NoError(t, b.Flush(context.Background(), "nobody"))
		require.NoError(t, b.FlushAll(context.Background()))
		increment(t, b, "page", 1)
		require.NoError(t, b.Flush(context.Background(), "page"))
		require.NoError(t, b.Flush(context.Background(), "page"))
		require.NoError(t, b.FlushAll(context.Background()))
		require.Zero(t, time.Since(start))
		require.Equal(t, 1, sink.called())
		require.ErrorIs(t, b.Flush(roomtest.EndedContext(), "page"), context.Canceled)
		require.ErrorIs(t, b.FlushAll(roomtest.EndedContext()), context.Canceled)
	})
}

// TestS9_FlushWaitsForWhatIsOnItsWayAndForWhatCameAfterIt has the key's earlier flush take its time.
func TestS9_FlushWaitsForWhatIsOnItsWayAndForWhatCameAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sink.before = func(Flush[string]) error {
			time.Sleep(10 * time.Second)
			return nil
		}
		b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Hour})
		start := time.Now()
		increment(t, b, "page", 1)
		require.NoError(t, b.FlushAsync("page"))
		time.Sleep(time.Second)
		var first, second roomtest.Callers
		first.Call(func() error {
			err := b.Flush(context.Background(), "page")
			require.Equal(t, 10*time.Second, time.Since(start))
			return err
		})
		synctest.Wait()
		increment(t, b, "page", 2)
		second.Call(func() error {
			err := b.Flush(context.Background(), "page")
			require.Equal(t, 20*time.Second, time.Since(start))
			require.EqualValues(t, 3, sink.sum("page"))
			return err
		})
		first.Wait()
		require.EqualValues(t, 1, sink.sum("page"))
		second.Wait()
		require.Equal(t, map[string]int{"granted": 1}, second.Ended())
		require.Len(t, sink.flushes(), 2, "a key is in one flush at a time")
	})
}

// TestS9_FlushEndsWithItsContext tells why it was not stored in time; the flush goes on.
func TestS9_FlushEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sink.hang = true
		b := newBuffer(t, Config[string]{Sink: sink, FlushTimeout: time.Minute})
		increment(t, b, "page", 1)
		err := b.Flush(roomtest.Within(t, time.Second), "page")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `"test"`)
		require.ErrorContains(t, err, "tried on")
		sink.set(fails[string](2, fmt.Errorf("the table is locked: %w", errUnsure)), nil, false)
		time.Sleep(59*time.Second + time.Second/4) // the attempt that hangs is over
		require.ErrorIs(t, b.FlushAll(roomtest.Within(t, time.Second/4)), errUnsure, "the last failure is told")
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 1, sink.sum("page"))
	})
}

// TestS9_FlushEndsABackOff has a flush that waits for an hour tried at once, with those of its batch.
func TestS9_FlushEndsABackOff(t *testing.T) {
	for name, fail := range map[string]error{"unsure": errUnsure, "not stored": ErrNotStored} {
		for _, how := range []string{"Flush", "FlushAsync", "FlushAll", "Close"} {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sink := newTable[string]()
					sink.before = fails[string](1, fail)
					b := newBuffer(t, Config[string]{Sink: sink, Backoff: time.Hour})
					increment(t, b, "page", 1)
					increment(t, b, "other", 2)
					time.Sleep(6 * time.Second)
					require.EqualValues(t, 1, b.Info().Failures)
					increment(t, b, "page", 10)
					start := time.Now()
					switch how {
					case "Flush":
						require.NoError(t, b.Flush(context.Background(), "page"))
					case "FlushAsync":
						require.NoError(t, b.FlushAsync("page"))
						synctest.Wait()
					case "FlushAll":
						require.NoError(t, b.FlushAll(context.Background()))
					case "Close":
						require.NoError(t, b.Close(context.Background()))
					}
					require.Zero(t, time.Since(start))
					require.EqualValues(t, 11, sink.sum("page"))
				})
			})
		}
	}
}

// TestS9_ManyFlushAllsAtOnce are answered when what was counted before each of them is stored.
func TestS9_ManyFlushAllsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sink.before = fails[string](30, errUnsure)
		b := newBuffer(t, Config[string]{Sink: sink, MaxBatch: 7})
		var c roomtest.Callers
		for i := range 20 {
			for _, key := range names(50) {
				increment(t, b, key, 1)
			}
			c.Call(func() error {
				if err := b.FlushAll(context.Background()); err != nil {
					return err
				}
				for _, key := range names(50) {
					if n := sink.sum(key); n < int64(i+1) {
						return fmt.Errorf("%s is %d in round %d", key, n, i)
					}
				}
				return nil
			})
			time.Sleep(300 * time.Millisecond)
		}
		c.Wait()
		require.Equal(t, map[string]int{"granted": 20}, c.Ended(), c.Strange())
		for _, key := range names(50) {
			require.EqualValues(t, 20, sink.sum(key))
		}
		requireNothing(t, b, names(50)...)
		sink.check(t)
	})
}

// TestS12_WhatWasStoredIsForgotten tells the count, which leaves at the flush, and the key, which leaves when it has been idle.
func TestS12_WhatWasStoredIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer(t, Config[string]{Sink: newTable[string]()})
		for _, key := range names(10) {
			increment(t, b, key, 1)
		}
		require.Equal(t, 10, b.Info().Unflushed)
		time.Sleep(5020 * time.Millisecond)
		require.Zero(t, b.Info().Unflushed)
		requireNothing(t, b, names(10)...)
		require.Equal(t, 10, b.Info().Keys)
		require.Zero(t, b.Info().Oldest)
		time.Sleep(15 * time.Second)
		require.Zero(t, b.Info().Keys)
		i := b.Info()
		require.EqualValues(t, 1, i.Flushes)
		require.EqualValues(t, 10, i.Deltas)
	})
}

// TestInfoTellsTheOldest follows a count from its increment through a flush that fails, and one that is refused.
func TestInfoTellsTheOldest(t *testing.T) {
	for name, fail := range map[string]error{"unsure": errUnsure, "not stored": ErrNotStored} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				sink.before = func(Flush[string]) error {
					time.Sleep(2 * time.Second)
					return fail
				}
				b := newBuffer(t, Config[string]{Sink: sink})
				require.Zero(t, b.Info().Oldest)
				increment(t, b, "page", 1)
				start := time.Now()
				for range 40 {
					time.Sleep(time.Second / 2)
					increment(t, b, "page", 1)
					increment(t, b, "other", 1)
					require.Equal(t, time.Since(start), b.Info().Oldest)
				}
				sink.set(nil, nil, false)
				time.Sleep(30 * time.Second)
				require.Zero(t, b.Info().Oldest)
			})
		})
	}
}
