package stat

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// attempts is a sink that fails, and notes what came when.
type attempts struct {
	mu   sync.Mutex
	fail func(attempt int) error // of the first, the second, …; nil: none fails
	ids  []string
	at   []time.Time
	n    []int64
}

func (a *attempts) flush(ctx context.Context, _ string, n int64) error {
	a.mu.Lock()
	a.ids = append(a.ids, FlushID(ctx))
	a.at = append(a.at, time.Now())
	a.n = append(a.n, n)
	attempt := len(a.ids)
	a.mu.Unlock()
	if a.fail == nil {
		return nil
	}
	return a.fail(attempt)
}

// ways are what a sink can do instead of storing something.
var ways = map[string]func(ctx context.Context) error{
	"fails":     func(context.Context) error { return errUnsure },
	"panics":    func(context.Context) error { panic("the sink's own") },
	"panics(e)": func(context.Context) error { panic(errUnsure) },
	"ends its goroutine": func(context.Context) error {
		runtime.Goexit()
		return nil
	},
	"hangs": func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	},
}

// TestS8_AFlushIsTriedUntilItWorks has it fail in every way, far more often than stat_buffer tries.
func TestS8_AFlushIsTriedUntilItWorks(t *testing.T) {
	for name, fail := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &attempts{}
				left := 20
				b := newBuffer(t, Config[string]{Interval: time.Second, Sink: FlushFunc[string](func(ctx context.Context, key string, n int64) error {
					require.NoError(t, sink.flush(ctx, key, n))
					if left--; left >= 0 {
						return fail(ctx)
					}
					return nil
				})})
				increment(t, b, "page", 7)
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Len(t, sink.ids, 21)
				for i, id := range sink.ids {
					require.Equal(t, sink.ids[0], id, "it is the same flush each time")
					require.EqualValues(t, 7, sink.n[i])
				}
				requireNothing(t, b, "page")
				i := b.Info()
				require.EqualValues(t, 20, i.Failures)
				require.EqualValues(t, 1, i.Flushes)
				require.Error(t, i.LastError)
			})
		})
	}
}

func TestS8_APanicIsAnErrorWithItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuffer(t, Config[string]{Sink: FlushFunc[string](func(context.Context, string, int64) error { panic(errUnsure) })})
		increment(t, b, "page", 7)
		err := b.Flush(roomtest.Within(t, time.Minute), "page")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		require.ErrorIs(t, panicked, errUnsure)
		require.Contains(t, string(panicked.Stack), "retry_test.go")
	})
}

// TestS8_BackoffDoublesUpToItsBound tells the pauses between the attempts of one flush.
func TestS8_BackoffDoublesUpToItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &attempts{fail: func(int) error { return errUnsure }}
		b := newBuffer(t, Config[string]{Sink: FlushFunc[string](sink.flush), Backoff: 100 * time.Millisecond, MaxBackoff: 3 * time.Second})
		increment(t, b, "page", 7)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Greater(t, len(sink.at), 1000)
		want, spread := 100*time.Millisecond, make(map[time.Duration]bool)
		for i := 1; i < len(sink.at); i++ {
			pause := sink.at[i].Sub(sink.at[i-1])
			require.GreaterOrEqual(t, pause, want/2, "attempt %d", i)
			require.LessOrEqual(t, pause, want, "attempt %d", i)
			want = min(2*want, 3*time.Second)
			spread[pause.Round(100*time.Millisecond)] = true
		}
		require.Greater(t, len(spread), 10, "what failed together does not come back together")
	})
}

func TestS8_BackoffIsASecondByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &attempts{fail: func(int) error { return errUnsure }}
		b := newBuffer(t, Config[string]{Sink: FlushFunc[string](sink.flush)})
		increment(t, b, "page", 7)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.WithinRange(t, sink.at[1], sink.at[0].Add(time.Second/2), sink.at[0].Add(time.Second))
		last := len(sink.at) - 1
		require.WithinRange(t, sink.at[last], sink.at[last-1].Add(15*time.Second), sink.at[last-1].Add(30*time.Second))
	})
}

// TestS8_NotStoredIsCountedOn has what came meanwhile join it, under another ID.
func TestS8_NotStoredIsCountedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &attempts{fail: func(attempt int) error {
			if attempt <= 2 {
				return fmt.Errorf("no connection: %w", ErrNotStored)
			}
			return nil
		}}
		b := newBuffer(t, Config[string]{Sink: FlushFunc[string](sink.flush), Backoff: time.Minute})
		increment(t, b, "page", 7)
		time.Sleep(6 * time.Second)
		requireCount(t, b, "page", 7)
		increment(t, b, "page", 1)
		requireCount(t, b, "page", 8)
		start := time.Now()
		require.NoError(t, b.Flush(context.Background(), "page"), "it does not wait for the back-off")
		require.GreaterOrEqual(t, time.Since(start), 30*time.Second-6*time.Second, "but its second failure has one, too")
		require.Equal(t, []int64{7, 8, 8}, sink.n)
		require.NotEqual(t, sink.ids[0], sink.ids[1])
		require.NotEqual(t, sink.ids[1], sink.ids[2])
		requireNothing(t, b, "page")
	})
}

// TestS8_BackoffIsEachFlushsOwn has many flushes refused once, at the same time: that is one failure, not as many in a row.
func TestS8_BackoffIsEachFlushsOwn(t *testing.T) {
	for name, err := range map[string]error{"unsure": errUnsure, "not stored": ErrNotStored} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				b := newBuffer(t, Config[string]{Sink: sink, MaxBatch: 1})
				sink.before = fails[string](10, err)
				for _, key := range names(10) {
					increment(t, b, key, 1)
				}
				time.Sleep(5020 * time.Millisecond)
				require.EqualValues(t, 10, b.Info().Failures)
				time.Sleep(1020 * time.Millisecond)
				synctest.Wait()
				require.Len(t, sink.all(), 10)
			})
		})
	}
}

// TestS8_TheSinksReturnEndsTheWait has a flush that failed for long tried as soon as another one was stored.
func TestS8_TheSinksReturnEndsTheWait(t *testing.T) {
	for name, err := range map[string]error{"unsure": errUnsure, "not stored": ErrNotStored} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				b := newBuffer(t, Config[string]{Sink: sink, MaxBatch: 1, Backoff: time.Hour, MaxBackoff: time.Hour})
				sink.before = fails[string](10, err)
				for _, key := range names(10) {
					increment(t, b, key, 1)
				}
				time.Sleep(6 * time.Second)
				increment(t, b, "another", 1)
				time.Sleep(6 * time.Second)
				synctest.Wait()
				require.Len(t, sink.all(), 11)
			})
		})
	}
}

// TestS8_WhatFailsAloneKeepsToItsBackoff would fail if every success had the sink called for it.
func TestS8_WhatFailsAloneKeepsToItsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		poisoned := 0
		sink.before = func(f Flush[string]) error {
			if f.Deltas[0].Key == "poisoned" {
				poisoned++
				return errUnsure
			}
			return nil
		}
		b := newBuffer(t, Config[string]{Sink: sink, MaxBatch: 1, Interval: 100 * time.Millisecond})
		increment(t, b, "poisoned", 1)
		for range 6000 {
			increment(t, b, "page", 1)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		require.Greater(t, len(sink.flushes()), 2500)
		require.Less(t, poisoned, 60, "in ten minutes")
		require.Greater(t, poisoned, 20)
	})
}

// TestS8_APoisonedKeyHoldsUpNoOthers has the sink refuse whatever contains it.
func TestS8_APoisonedKeyHoldsUpNoOthers(t *testing.T) {
	for name, others := range map[string]int{"with nothing else": 0, "while others are stored": 1} {
		for _, keys := range []int{2, 10, 999} {
			t.Run(fmt.Sprint(name, " ", keys), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sink := newTable[string]()
					sink.before = func(f Flush[string]) error {
						for _, d := range f.Deltas {
							if d.Key == "key-1" {
								return ErrNotStored
							}
						}
						return nil
					}
					b := newBuffer(t, Config[string]{Sink: sink})
					for _, key := range names(keys) {
						increment(t, b, key, 1)
					}
					for range 240 {
						time.Sleep(time.Second / 4)
						for range others {
							increment(t, b, "other", 1)
						}
					}
					stored := sink.all()
					delete(stored, "other")
					require.Len(t, stored, keys-1, "after a minute")
					requireCount(t, b, "key-1", 1)
					calls := sink.called()
					time.Sleep(10 * time.Minute)
					require.Less(t, sink.called()-calls, 60+others*20, "it comes no more often than its back-off says")
					sink.set(nil, nil, false)
					time.Sleep(time.Minute)
					require.EqualValues(t, 1, sink.sum("key-1"))
					sink.check(t)
				})
			})
		}
	}
}

// TestS8_AFlushFuncGetsOneKeyAtATime has one key fail: the others are not given again for that.
func TestS8_AFlushFuncGetsOneKeyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		ids := make(map[string][]string)
		b := newBuffer(t, Config[string]{MaxBatch: 500, Sink: FlushFunc[string](func(ctx context.Context, key string, n int64) error {
			mu.Lock()
			defer mu.Unlock()
			require.EqualValues(t, 3, n)
			ids[key] = append(ids[key], FlushID(ctx))
			if key == "key-1" && len(ids[key]) < 5 {
				return errUnsure
			}
			return nil
		})})
		for _, key := range names(20) {
			increment(t, b, key, 3)
		}
		require.NoError(t, b.FlushAll(context.Background()))
		seen := make(map[string]bool)
		for _, key := range names(20) {
			want := 1
			if key == "key-1" {
				want = 5
			}
			require.Len(t, ids[key], want, key)
			for _, id := range ids[key] {
				require.Equal(t, ids[key][0], id)
			}
			require.NotEmpty(t, ids[key][0])
			require.False(t, seen[ids[key][0]], "each has an ID of its own")
			seen[ids[key][0]] = true
		}
		require.Empty(t, FlushID(context.Background()))
	})
}
