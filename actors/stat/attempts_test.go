package stat

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestS13_MaxAttemptsEndWithDropped(t *testing.T) {
	for name, fail := range map[string]error{"unsure": errUnsure, "not stored": fmt.Errorf("no: %w", ErrNotStored)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &attempts{fail: func(attempt int) error {
					if attempt <= 3 {
						return fail
					}
					return nil
				}}
				var bin dropped[string]
				b := newBuffer(t, Config[string]{Sink: FlushFunc[string](sink.flush), MaxAttempts: 3, Dropped: bin.take})
				increment(t, b, "page", 7)
				err := b.Flush(context.Background(), "page")
				require.ErrorIs(t, err, ErrDropped)
				require.ErrorIs(t, err, fail)
				require.ErrorContains(t, err, "after 3 attempts")
				require.Len(t, sink.ids, 3)
				require.Equal(t, map[string]int64{"page": 7}, bin.all())
				require.Equal(t, sink.ids[2], bin.flushes[0].ID, "it may have been stored under this ID")
				require.ErrorIs(t, bin.errs[0], ErrDropped)
				require.ErrorIs(t, bin.errs[0], fail)
				requireNothing(t, b, "page")
				require.EqualValues(t, 1, b.Info().Dropped)
				increment(t, b, "page", 2)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Equal(t, []int64{7, 7, 7, 2}, sink.n, "it goes on from nothing")
				require.Equal(t, map[string]int64{"page": 7}, bin.all())
				require.NoError(t, b.Close(context.Background()))
			})
		})
	}
}

// TestS13_WhatWasTriedOnceIsNotDroppedForWhatWasTriedOften has new keys come into flushes together with one that is refused.
func TestS13_WhatWasTriedOnceIsNotDroppedForWhatWasTriedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		tried := make(map[string]int)
		sink.before = func(f Flush[string]) (err error) {
			for _, d := range f.Deltas {
				if tried[d.Key]++; d.Key == "poisoned" {
					err = ErrNotStored
				}
			}
			return err
		}
		var bin dropped[string]
		b := newBuffer(t, Config[string]{Sink: sink, MaxAttempts: 3, Dropped: bin.take, MaxFlushes: 1})
		increment(t, b, "poisoned", 1)
		require.NoError(t, b.FlushAsync("poisoned"))
		synctest.Wait()
		increment(t, b, "new", 1)
		require.NoError(t, b.FlushAsync("new"))
		require.NoError(t, b.FlushAsync("poisoned"))
		synctest.Wait()
		increment(t, b, "newer", 1)
		require.NoError(t, b.FlushAsync("newer"))
		require.NoError(t, b.FlushAsync("new"))
		require.NoError(t, b.FlushAsync("poisoned"))
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, f := range bin.flushes {
			for _, d := range f.Deltas {
				require.GreaterOrEqual(t, tried[d.Key], 3, "%s was dropped", d.Key)
			}
		}
		require.Equal(t, map[string]int64{"poisoned": 1}, bin.all())
	})
}

// TestS13_TheLastAttemptIsMadeAlone has keys that always came together, one of which is refused.
func TestS13_TheLastAttemptIsMadeAlone(t *testing.T) {
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
		var bin dropped[string]
		b := newBuffer(t, Config[string]{Sink: sink, MaxAttempts: 3, Dropped: bin.take})
		for _, key := range names(20) {
			increment(t, b, key, 1)
		}
		time.Sleep(time.Minute)
		require.Equal(t, map[string]int64{"key-1": 1}, bin.all())
		require.Len(t, sink.all(), 19)
	})
}

// TestS13_DroppedMayPanic has it lose what it is given, and nothing else.
func TestS13_DroppedMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newTable[string]()
		sink.before = fails[string](1, errUnsure)
		b := newBuffer(t, Config[string]{Sink: sink, MaxAttempts: 1, Dropped: func(Flush[string], error) { panic("no") }})
		increment(t, b, "page", 1)
		require.ErrorIs(t, b.Flush(context.Background(), "page"), ErrDropped)
		increment(t, b, "page", 2)
		require.NoError(t, b.Flush(context.Background(), "page"))
		require.EqualValues(t, 2, sink.sum("page"))
	})
}

func TestS13_FlushTimeoutEndsAnAttempt(t *testing.T) {
	for _, timeout := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			sink := newTable[string]()
			sink.hang = true
			b := newBuffer(t, Config[string]{Sink: sink, FlushTimeout: timeout})
			want := timeout
			if want == 0 {
				want = 30 * time.Second
			}
			increment(t, b, "page", 1)
			require.NoError(t, b.FlushAsync("page"))
			time.Sleep(want - time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 1, b.Info().Running)
			require.Zero(t, b.Info().Failures)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.EqualValues(t, 1, b.Info().Failures)
			require.ErrorIs(t, b.Info().LastError, context.DeadlineExceeded)
			sink.set(nil, nil, false)
			time.Sleep(time.Second)
			require.EqualValues(t, 1, sink.sum("page"))
		})
	}
}

// TestS13_EndingTheSinksGoroutineIsAFailure is told by the metrics, too.
func TestS13_EndingTheSinksGoroutineIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		calls := 0
		b := newBuffer(t, Config[string]{Sink: FlushFunc[string](func(ctx context.Context, _ string, _ int64) error {
			if calls++; calls == 1 {
				return ways["ends its goroutine"](ctx)
			}
			return nil
		})}, penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
		increment(t, b, "page", 1)
		require.NoError(t, b.Flush(context.Background(), "page"))
		series := roomtest.Series(t, reader, "penstock.stat", "penstock.kind", "penstock.outcome")
		require.EqualValues(t, 1, series["penstock.stat.duration test sum stored"])
		require.EqualValues(t, 1, series["penstock.stat.duration test sum failed"])
		require.EqualValues(t, 1, series["penstock.stat.deltas test sum"])
	})
}
