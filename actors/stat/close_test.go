package stat

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestS11_CloseFlushesEveryKey(t *testing.T) {
	for name, end := range map[string]func(b *Buffer[string], sys *penstock.System) error{
		"the buffer": func(b *Buffer[string], _ *penstock.System) error { return b.Close(context.Background()) },
		"the system": func(_ *Buffer[string], sys *penstock.System) error { return sys.Close(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				sys := roomtest.System(t)
				b, err := NewBuffer(sys, "test", Config[string]{Sink: sink})
				require.NoError(t, err)
				start := time.Now()
				for _, key := range names(2500) {
					increment(t, b, key, 2)
				}
				require.NoError(t, b.Counter("striped").Add(9))
				require.NoError(t, end(b, sys))
				require.Zero(t, time.Since(start), "no key waits for its interval")
				require.Len(t, sink.all(), 2501)
				require.EqualValues(t, 2, sink.sum("key-0"))
				require.EqualValues(t, 9, sink.sum("striped"))
				require.ErrorIs(t, b.Increment("key-0", 1), penstock.ErrClosed)
				require.ErrorIs(t, b.Flush(context.Background(), "key-0"), penstock.ErrClosed)
				require.ErrorIs(t, b.FlushAsync("key-0"), penstock.ErrClosed)
				require.ErrorIs(t, b.FlushAll(context.Background()), penstock.ErrClosed)
				requireNothing(t, b, "key-0", "striped")
				require.NoError(t, b.Close(context.Background()), "twice")
				_, err = NewBuffer(sys, "test", Config[string]{Sink: sink})
				if name == "the system" {
					require.ErrorIs(t, err, penstock.ErrClosed)
				} else {
					require.NoError(t, err, "the name is free again")
				}
				sink.check(t)
			})
		})
	}
}

// TestS11_CloseTriesAgain has the sink fail for a while: with patience all is stored, and once.
func TestS11_CloseTriesAgain(t *testing.T) {
	for name, fail := range map[string]error{"unsure": errUnsure, "not stored": ErrNotStored} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				sink.after = fails[string](7, errUnsure)
				if fail == ErrNotStored {
					sink.before, sink.after = fails[string](7, fail), nil
				}
				b := newBuffer(t, Config[string]{Sink: sink})
				for _, key := range names(10) {
					increment(t, b, key, 2)
				}
				time.Sleep(7 * time.Second) // some fail before, some during it
				increment(t, b, "key-3", 1)
				require.NoError(t, b.Close(context.Background()))
				for i, key := range names(10) {
					want := int64(2)
					if i == 3 {
						want = 3
					}
					require.Equal(t, want, sink.sum(key))
				}
				sink.check(t)
			})
		})
	}
}

func TestS11_CloseGivesWhatIsLeftToDropped(t *testing.T) {
	for _, when := range []string{"before it is tried", "while the sink hangs", "while it waits for its back-off", "while more is counted"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[string]()
				var bin dropped[string]
				b := newBuffer(t, Config[string]{Sink: sink, Dropped: bin.take, Backoff: time.Minute, MaxBackoff: time.Minute})
				increment(t, b, "a", 1)
				increment(t, b, "b", 2)
				require.NoError(t, b.FlushAll(context.Background()))
				increment(t, b, "a", 3)
				increment(t, b, "b", 4)
				patience := 10 * time.Second
				switch when {
				case "before it is tried":
					patience, sink.hang = 0, true
				case "while the sink hangs", "while more is counted":
					sink.hang = true
				case "while it waits for its back-off":
					sink.before = fails[string](1000, errUnsure)
				}
				if patience > 0 {
					require.NoError(t, b.FlushAsync("a"))
					synctest.Wait()
					increment(t, b, "a", 10)
				}
				ctx := roomtest.Within(t, patience)
				if patience == 0 {
					ctx = roomtest.EndedContext()
				}
				var c roomtest.Callers
				if patience > 0 {
					c.Call(func() error { return b.Flush(context.Background(), "a") })
					c.Call(func() error { return b.Flush(context.Background(), "b") })
					c.Call(func() error { return b.FlushAll(context.Background()) })
					synctest.Wait()
				}
				accepted := int64(0)
				if when == "while more is counted" {
					c.Call(func() error {
						for range 5 {
							time.Sleep(time.Second)
							for _, key := range []string{"a", "b"} {
								if b.Increment(key, 1000) == nil {
									accepted += 1000
								}
							}
						}
						return penstock.ErrClosed
					})
				}
				start := time.Now()
				err := b.Close(ctx)
				require.LessOrEqual(t, time.Since(start), patience)
				var left *NotStoredError
				require.ErrorAs(t, err, &left)
				require.Equal(t, "test", left.Buffer)
				require.Equal(t, 2, left.Keys)
				require.False(t, left.Kept)
				require.ErrorContains(t, err, "2 keys")
				if when == "while it waits for its back-off" {
					require.ErrorIs(t, err, errUnsure)
				}
				c.Wait()
				require.Equal(t, c.Total(), c.Ended()["closed"], "%v %v", c.Ended(), c.Strange())
				want := int64(3 + 4 + accepted)
				if patience > 0 {
					want += 10
				}
				require.Equal(t, want, bin.all()["a"]+bin.all()["b"])
				require.Equal(t, map[string]int64{"a": 1, "b": 2}, sink.all())
				for _, err := range bin.errs {
					require.ErrorAs(t, err, &left)
				}
				synctest.Wait()
				calls := sink.called()
				time.Sleep(time.Hour)
				require.Equal(t, calls, sink.called(), "nothing is tried after that")
				require.Equal(t, want, bin.all()["a"]+bin.all()["b"])
			})
		})
	}
}

// TestG8_ClosingKeysThatAreStillAskedForAreNotForgotten has callers find that a key's cell is closed, while what was in it is
// on its way.
func TestG8_ClosingKeysThatAreStillAskedForAreNotForgotten(t *testing.T) {
	for _, works := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sink := newTable[string]()
			sink.hang = true
			var bin dropped[string]
			b := newBuffer(t, Config[string]{Sink: sink, Dropped: bin.take, FlushTimeout: 5 * time.Second})
			increment(t, b, "a", 1)
			c, counter := roomtest.Callers{}, b.Counter("a")
			c.Call(func() error { return b.Close(roomtest.Within(t, 10*time.Second)) })
			synctest.Wait()
			c.Call(func() error { return b.Flush(context.Background(), "a") })
			synctest.Wait()
			for range 3 {
				require.ErrorIs(t, b.Increment("a", 1), penstock.ErrClosed)
				require.ErrorIs(t, counter.Add(1), penstock.ErrClosed)
			}
			if works {
				sink.set(nil, nil, false)
				c.Wait()
				require.Equal(t, map[string]int{"granted": 2}, c.Ended())
				require.EqualValues(t, 1, sink.sum("a"))
				require.Empty(t, bin.all())
				return
			}
			c.Wait()
			require.Equal(t, 2, c.Total())
			require.Zero(t, c.Ended()["granted"], "%v", c.Ended())
			require.Equal(t, map[string]int64{"a": 1}, bin.all())
			var left *NotStoredError
			require.ErrorAs(t, bin.errs[0], &left)
			require.Equal(t, 1, left.Keys)
		})
	}
}

// TestS11_CloseDoesNotWaitForASinkThatIgnoresItsContext leaves it behind.
func TestS11_CloseDoesNotWaitForASinkThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := make(chan struct{})
		release := sync.OnceFunc(func() { close(released) })
		t.Cleanup(release)
		var bin dropped[string]
		b := newBuffer(t, Config[string]{Dropped: bin.take, Sink: FlushFunc[string](func(context.Context, string, int64) error {
			<-released
			return nil
		})})
		for i, key := range names(10) {
			increment(t, b, key, int64(i))
		}
		start := time.Now()
		var left *NotStoredError
		require.ErrorAs(t, b.Close(roomtest.Within(t, time.Minute)), &left)
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, 9, left.Keys)
		require.Len(t, bin.all(), 9)
		release()
		synctest.Wait()
		require.Len(t, bin.all(), 9)
	})
}

// TestG6_CloseLeavesNothing runs in a bubble that fails if a goroutine or timer is left.
func TestG6_CloseLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := penstock.New()
		require.NoError(t, err)
		sink := newTable[string]()
		unused, err := NewBuffer(sys, "unused", Config[string]{Sink: sink})
		require.NoError(t, err)
		require.NoError(t, unused.Close(context.Background()), "before any use")
		b, err := NewBuffer(sys, "used", Config[string]{Sink: sink, MaxKeys: 100})
		require.NoError(t, err)
		sink.after = fails[string](5, errUnsure)
		for _, key := range names(90) {
			increment(t, b, key, 1)
		}
		time.Sleep(5500 * time.Millisecond)
		increment(t, b, "key-1", 1)
		var c roomtest.Callers
		c.Call(func() error { return b.Close(roomtest.Within(t, time.Minute)) }) // under load, several times at once
		c.Call(func() error { return b.Close(context.Background()) })
		c.Call(func() error { return sys.Close(context.Background()) })
		c.Wait()
		require.Equal(t, map[string]int{"granted": 3}, c.Ended())
		require.Zero(t, b.ledger.family.Len(), "the directory is empty")
		require.EqualValues(t, 2, sink.sum("key-1"))
		require.Len(t, sink.all(), 90)
	})
}

// TestG6_NothingIsLeftOutsideOfABubble uses goroutines, timers and processors as they are.
func TestG6_NothingIsLeftOutsideOfABubble(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	sys, err := penstock.New()
	require.NoError(t, err)
	for i := range 3 {
		sink := newTable[string]()
		b, err := NewBuffer(sys, fmt.Sprint("b", i), Config[string]{Sink: sink, Interval: time.Millisecond, MaxBatch: 7})
		require.NoError(t, err)
		for _, key := range names(100) {
			increment(t, b, key, 1)
		}
		if i == 1 {
			require.NoError(t, b.Close(context.Background()))
			require.Len(t, sink.all(), 100)
		}
	}
	require.NoError(t, sys.Close(context.Background()))
}
