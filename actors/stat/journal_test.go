package stat

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestJournalSmoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	sink := newTable[string]()
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		cfg := Config[string]{Sink: sink, Journal: Journal[string]{Path: path}, Backoff: time.Millisecond}
		b, err := NewBuffer(sys, "b", cfg)
		require.NoError(t, err)
		require.NoError(t, b.IncrementDurable(context.Background(), "a", 3))
		require.NoError(t, b.Increment("a", 1))
		require.NoError(t, b.Flush(context.Background(), "a"))
		require.Equal(t, int64(4), sink.sums["a"])
		sink.after = func(Flush[string]) error { return errors.New("cut") }
		require.NoError(t, b.Increment("a", 1))
		require.NoError(t, b.Increment("c", 7))
		require.NoError(t, b.FlushAsync("a"))
		time.Sleep(time.Second)
		require.NoError(t, b.Increment("a", 1))
		require.NoError(t, b.IncrementDurable(context.Background(), "a", 3))
		err = b.Close(roomtest.EndedContext())
		var left *NotStoredError
		require.ErrorAs(t, err, &left)
		require.True(t, left.Kept)
		require.Equal(t, 2, left.Keys)
		require.ErrorIs(t, b.IncrementDurable(context.Background(), "a", 3), penstock.ErrClosed)
		sink.after = nil
		_, err = NewBuffer(sys, "other", cfg)
		require.ErrorContains(t, err, `it is the journal of the sum buffer "b"`)
		b, err = NewBuffer(sys, "b", cfg)
		require.NoError(t, err)
		n, ok := b.Count("a")
		require.True(t, ok)
		require.Equal(t, int64(5), n)
		require.NoError(t, b.FlushAll(context.Background()))
		require.Equal(t, map[string]int64{"a": 9, "c": 7}, sink.sums)
		require.NoError(t, b.Close(context.Background()))
	})
}
