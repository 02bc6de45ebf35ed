package stat

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestABadConfigIsOneErrorThatNamesEveryField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := bad(t, "views", Config[string]{
			Interval: -1, Jitter: maxSpan + 1, Backoff: 2 * time.Second, MaxBackoff: time.Second, MaxAttempts: -1, FlushTimeout: -time.Second,
			MaxBatch: maxBatch + 1, MaxFlushes: maxFlushes + 1, Idle: -1, MaxKeys: math.MaxInt32, MaxBytes: -1,
		})
		for _, field := range []string{"Sink", "Interval", "Jitter", "MaxBackoff", "MaxAttempts", "FlushTimeout", "MaxBatch", "MaxFlushes", "Idle", "MaxKeys", "MaxBytes"} {
			require.ErrorContains(t, err, field+" is ")
		}
		require.Equal(t, 11, strings.Count(err.Error(), "it takes"), err)
		require.ErrorContains(t, err, `"views"`)
		require.ErrorContains(t, bad(t, "v", Config[string]{Sink: FlushFunc[string](nil)}), "Sink is nil")
		require.ErrorContains(t, bad(t, "v", Config[string]{Sink: newTable[string](), Backoff: -1}), "Backoff is -1ns")
		require.ErrorContains(t, bad(t, "v", Config[string]{Sink: newTable[string](), Overflow: new("")}), "Overflow")
		require.ErrorContains(t, bad(t, "v", Config[string]{Sink: newTable[string](), Overflow: new("\xff")}), "Overflow")
		_, err = NewBuffer(nil, "v", Config[string]{Sink: newTable[string]()})
		require.ErrorIs(t, err, penstock.ErrInvalid)
	})
}

// TestABadConfigStartsNothing has the same name used after it; the bubble fails if anything is left.
func TestABadConfigStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		for _, cfg := range []Config[string]{{}, {Sink: newTable[string](), Overflow: new("")}} {
			_, err := NewBuffer(sys, "views", cfg)
			require.ErrorIs(t, err, penstock.ErrInvalid)
		}
		require.Empty(t, sys.Info().Tree.Families)
		b, err := NewBuffer(sys, "views", Config[string]{Sink: newTable[string]()})
		require.NoError(t, err)
		increment(t, b, "page", 1)
	})
}

func TestABadNameIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"", strings.Repeat("n", 513), "a\xffb"} {
			require.ErrorContains(t, bad(t, name, Config[string]{Sink: newTable[string]()}), "1 to 512 bytes of UTF-8")
		}
		_, err := NewBuffer(roomtest.System(t), strings.Repeat("n", 512), Config[string]{Sink: newTable[string]()})
		require.NoError(t, err)
		sys := roomtest.System(t)
		for _, name := range []string{"a/b", "a#b", "a%2Fb", "*", "ä"} {
			b, err := NewBuffer(sys, name, Config[string]{Sink: newTable[string]()})
			require.NoError(t, err)
			increment(t, b, "page", 1)
		}
		require.NoError(t, sys.Close(context.Background()))
	})
}

func TestExtremesOfTheConfigWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cfg := range []Config[string]{
			{Interval: 1, Backoff: 1, MaxBackoff: 1, MaxAttempts: 1, FlushTimeout: 1, MaxBatch: 1, MaxFlushes: 1, Idle: 1, MaxKeys: 1},
			{Interval: maxSpan, Jitter: maxSpan, Backoff: maxSpan, MaxBackoff: maxSpan, MaxAttempts: math.MaxInt, FlushTimeout: maxSpan,
				MaxBatch: maxBatch, MaxFlushes: maxFlushes, Idle: maxSpan, MaxKeys: maxKeys - 1, MaxBytes: math.MaxInt64},
			{Backoff: maxSpan}, // and so MaxBackoff is as long
		} {
			sink := newTable[string]()
			cfg.Sink = sink
			b := newBuffer(t, cfg)
			increment(t, b, "page", 1)
			require.NoError(t, b.Flush(context.Background(), "page"))
			increment(t, b, "page", 1)
			require.NoError(t, b.Close(context.Background()))
			require.EqualValues(t, 2, sink.sum("page"))
		}
	})
}

func TestABufferOfAClosedSystemIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		require.NoError(t, sys.Close(context.Background()))
		_, err := NewBuffer(sys, "views", Config[string]{Sink: newTable[string]()})
		require.ErrorIs(t, err, penstock.ErrClosed)
	})
}

func TestErrorsSayWhatBecameOfCounts(t *testing.T) {
	err := &NotStoredError{Buffer: "views", Keys: 3, Cause: errUnsure}
	require.EqualError(t, err, `stat buffer "views": it was closed before the counts of 3 keys were stored; they were given to Dropped: `+errUnsure.Error())
	require.ErrorIs(t, err, errUnsure)
	err = &NotStoredError{Buffer: "views", Keys: 3, Kept: true}
	require.EqualError(t, err, `stat buffer "views": it was closed before the counts of 3 keys were stored; they are in the journal`)
	require.NoError(t, errors.Unwrap(err))
}
