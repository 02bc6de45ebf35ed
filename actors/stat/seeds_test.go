package stat

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestS1_BuffersAreNameSpacesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		views, clicks := newTable[string](), newTable[string]()
		a, err := NewBuffer(sys, "views", Config[string]{Sink: views})
		require.NoError(t, err)
		b, err := NewBuffer(sys, "clicks", Config[string]{Sink: clicks})
		require.NoError(t, err)
		increment(t, a, "page", 3)
		increment(t, b, "page", 5)
		requireCount(t, a, "page", 3)
		requireCount(t, b, "page", 5)
		require.NoError(t, a.FlushAll(context.Background()))
		requireNothing(t, a, "page")
		requireCount(t, b, "page", 5)
		require.NoError(t, a.Close(context.Background()))
		require.NoError(t, b.FlushAll(context.Background()))
		require.Equal(t, map[string]int64{"page": 3}, views.all())
		require.Equal(t, map[string]int64{"page": 5}, clicks.all())
	})
}

// TestS1_ANameIsTakenOnce has other types ask for it, too: a name says which series of metrics is meant.
func TestS1_ANameIsTakenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		b, err := NewBuffer(sys, "views", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err)
		_, err = NewBuffer(sys, "views", Config[string]{Sink: newTable[string]()})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		require.ErrorContains(t, err, `"views"`)
		_, err = NewMax(sys, "views", Config[int]{Sink: newTable[int]()})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		_, err = NewHistogram(sys, "views", Scale{}, Config[Bin[int]]{Sink: newTable[Bin[int]]()})
		require.ErrorIs(t, err, penstock.ErrInvalid)
		increment(t, b, "page", 1)
		require.NoError(t, b.Close(context.Background()))
		_, err = NewLast(sys, "views", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err, "the name is free again")
		_, err = NewBuffer(roomtest.System(t), "views", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err, "systems have names of their own")
	})
}

func TestS3_S4_IncrementAddsAtOnceAndNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		start := time.Now()
		increment(t, b, "page", 1)
		increment(t, b, "page", 10)
		require.NoError(t, b.Counter("page").Add(100))
		increment(t, b, "page", -2)
		requireCount(t, b, "page", 109)
		require.Zero(t, time.Since(start))
		require.NoError(t, b.Close(context.Background()))
		require.Equal(t, map[string]int64{"page": 109}, sink.all())
		require.ErrorIs(t, b.Increment("page", 1), penstock.ErrClosed)
		require.ErrorIs(t, b.Increment("new", 1), penstock.ErrClosed)
		require.ErrorIs(t, b.Counter("page").Add(1), penstock.ErrClosed)
		require.Equal(t, map[string]int64{"page": 109}, sink.all())
	})
}

func TestS3_ACountThatComesToNothingIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		increment(t, b, "page", 5)
		increment(t, b, "page", -5)
		increment(t, b, "zero", 0)
		requireCount(t, b, "page", 0)
		require.NoError(t, b.Flush(context.Background(), "page"), "there is nothing to wait for")
		requireNothing(t, b, "page")
		time.Sleep(6 * time.Second)
		require.Zero(t, sink.called())
		increment(t, b, "page", -7)
		requireCount(t, b, "page", -7)
		time.Sleep(6 * time.Second)
		require.Equal(t, map[string]int64{"page": -7}, sink.all())
		time.Sleep(time.Minute)
		require.Zero(t, b.Info().Keys)
	})
}

func TestS3_ACountEndsWhereInt64Does(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		increment(t, b, "up", math.MaxInt64-1)
		increment(t, b, "up", 1)
		err := b.Increment("up", 1)
		require.ErrorIs(t, err, ErrOverflow)
		require.ErrorContains(t, err, "up")
		requireCount(t, b, "up", math.MaxInt64)
		increment(t, b, "up", -10) // it goes on from there
		requireCount(t, b, "up", math.MaxInt64-10)

		increment(t, b, "down", -math.MaxInt64+1)
		require.ErrorIs(t, b.Increment("down", -1), ErrOverflow)
		requireCount(t, b, "down", -math.MaxInt64+1)
		require.ErrorIs(t, b.Increment("deep", math.MinInt64+1), ErrOverflow, "a sum ends two before the end of int64")
		requireCount(t, b, "deep", -math.MaxInt64+1)

		c := b.Counter("striped")
		require.NoError(t, c.Add(math.MaxInt64))
		for range 1000 { // whichever stripe it is
			require.NoError(t, c.Add(0))
		}
		increment(t, b, "striped", math.MaxInt64)
		requireCount(t, b, "striped", math.MaxInt64)
		require.NoError(t, b.FlushAll(context.Background()))
		require.Equal(t, map[string]int64{"up": math.MaxInt64 - 10, "down": -math.MaxInt64 + 1, "deep": -math.MaxInt64 + 1, "striped": math.MaxInt64}, sink.all())
		require.EqualValues(t, 1, b.Info().Overflows, "the stripes and the word together")
	})
}

// TestS3_StripesThatAreFullLeaveTheRestToTheSum adds more to a striped key than any of its words holds.
func TestS3_StripesThatAreFullLeaveTheRestToTheSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		c := b.Counter("a")
		var err error
		for range 10_000 {
			if err = c.Add(math.MaxInt64); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, ErrOverflow)
		requireCount(t, b, "a", math.MaxInt64)
		require.NoError(t, b.FlushAll(context.Background()))
		require.EqualValues(t, math.MaxInt64, sink.sum("a"))
		require.NoError(t, c.Add(-5), "and then there is room again")
		requireCount(t, b, "a", -5)
	})
}

func TestS3_S9_WhatIsCountedDuringAFlushComesWithTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		sink.before = func(f Flush[string]) error {
			if f.Deltas[0].N == 5 {
				require.NoError(t, b.Increment("page", 3)) // from the sink itself: nothing is held meanwhile
				requireCount(t, b, "page", 8)
				time.Sleep(time.Second)
			}
			return nil
		}
		increment(t, b, "page", 5)
		start := time.Now()
		require.NoError(t, b.Flush(context.Background(), "page"))
		require.Equal(t, time.Second, time.Since(start), "what came after the call is not waited for")
		require.EqualValues(t, 5, sink.sum("page"))
		requireCount(t, b, "page", 3)
		time.Sleep(5100 * time.Millisecond)
		require.EqualValues(t, 8, sink.sum("page"))
		require.Equal(t, 2, sink.called())
		requireNothing(t, b, "page")
	})
}

func TestS5_CountIsWhatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		requireNothing(t, b, "page", "")
		increment(t, b, "page", 2)
		requireCount(t, b, "page", 2)
		sink.set(nil, fails[string](3, errUnsure), false)
		time.Sleep(5100 * time.Millisecond)
		require.EqualValues(t, 2, sink.sum("page"))
		requireCount(t, b, "page", 2) // it is stored, but nobody knows
		increment(t, b, "page", 1)
		requireCount(t, b, "page", 3)
		time.Sleep(time.Minute)
		requireNothing(t, b, "page")
		require.EqualValues(t, 3, sink.sum("page"))
		synctest.Wait()
		require.Equal(t, 3, sink.twice)
		sink.check(t)
	})
}

// inTime says how late a flush may be: see Config.Interval.
func inTime(span time.Duration) time.Duration { return max(span/256, time.Millisecond) }

func TestS6_AKeyIsFlushedAnIntervalAfterItsFirstIncrement(t *testing.T) {
	for _, interval := range []time.Duration{0, 50 * time.Millisecond, 700 * time.Millisecond, time.Minute, 3 * time.Hour} {
		t.Run(fmt.Sprint(interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newTable[int]()
				b := newBuffer(t, Config[int]{Sink: sink, Interval: interval, MaxBatch: 1})
				if interval == 0 {
					interval = 5 * time.Second
				}
				first := make(map[int]time.Time)
				rng := rand.New(rand.NewPCG(1, uint64(interval)))
				for key := range 200 {
					time.Sleep(rand.N(interval / 20))
					first[key] = time.Now()
					increment(t, b, key, 1)
					for range rng.IntN(3) { // neither later ones nor others put it off
						time.Sleep(rand.N(interval / 100))
						increment(t, b, key, 1)
					}
				}
				time.Sleep(2 * interval)
				synctest.Wait()
				require.Len(t, sink.stored, 200)
				for i, f := range sink.stored {
					late := sink.times[i].Sub(first[f.Deltas[0].Key]) - interval
					require.GreaterOrEqual(t, late, time.Duration(0), "too early")
					require.LessOrEqual(t, late, inTime(interval), "too late")
				}
			})
		})
	}
}

// TestS6_TheNextIntervalBeginsWithTheNextIncrement has a key counted again and again, after pauses of any length.
func TestS6_TheNextIntervalBeginsWithTheNextIncrement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink})
		for i, pause := range []time.Duration{0, time.Millisecond, 4 * time.Second, time.Hour, 24 * time.Hour, 400 * 24 * time.Hour} {
			time.Sleep(pause)
			first := time.Now()
			increment(t, b, "page", 1)
			time.Sleep(4999 * time.Millisecond)
			synctest.Wait()
			require.Len(t, sink.flushes(), i)
			time.Sleep(time.Millisecond + inTime(5*time.Second))
			synctest.Wait()
			require.Len(t, sink.flushes(), i+1)
			require.WithinRange(t, sink.times[i], first.Add(5*time.Second), first.Add(5*time.Second+inTime(5*time.Second)))
		}
	})
}

func TestS7_JitterSpreadsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[int]()
		b := newBuffer(t, Config[int]{Sink: sink, Interval: 10 * time.Second, Jitter: 20 * time.Second, MaxBatch: 1})
		start := time.Now()
		for key := range 2000 {
			increment(t, b, key, 1)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, sink.stored, 2000)
		var thirds [3]int
		for _, at := range sink.times {
			after := at.Sub(start)
			require.GreaterOrEqual(t, after, 10*time.Second)
			require.LessOrEqual(t, after, 30*time.Second+inTime(30*time.Second))
			thirds[min(int((after-10*time.Second)/(20*time.Second/3)), 2)]++
		}
		for _, n := range thirds {
			require.InDelta(t, 667, n, 150, "a random time, as likely to be short as to be long")
		}
	})
}

// TestS7_JitterIsDrawnEachTime would fail if a key kept its own.
func TestS7_JitterIsDrawnEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		b := newBuffer(t, Config[string]{Sink: sink, Interval: time.Second, Jitter: time.Minute})
		delays := make(map[time.Duration]bool)
		for range 20 {
			first := time.Now()
			increment(t, b, "page", 1)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			delays[sink.times[len(sink.times)-1].Sub(first)] = true
		}
		require.Greater(t, len(delays), 10)
	})
}
