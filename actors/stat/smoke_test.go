package stat

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// table is a sink that remembers IDs, as a database would.
type table[K comparable] struct {
	mu     sync.Mutex
	sums   map[K]int64
	ids    map[string]bool
	calls  int
	twice  int
	before func(f Flush[K]) error // answers before anything is stored, if not nil
	after  func(f Flush[K]) error // answers after everything was
}

func newTable[K comparable]() *table[K] {
	return &table[K]{sums: make(map[K]int64), ids: make(map[string]bool)}
}

func (t *table[K]) Flush(_ context.Context, f Flush[K]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if t.before != nil {
		if err := t.before(f); err != nil {
			return err
		}
	}
	if t.ids[f.ID] {
		t.twice++
	} else {
		t.ids[f.ID] = true
		for _, d := range f.Deltas {
			t.sums[d.Key] += d.N
		}
	}
	if t.after != nil {
		return t.after(f)
	}
	return nil
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		sink := newTable[string]()
		b, err := NewBuffer(sys, "views", Config[string]{Sink: sink, Overflow: new("other"), MaxKeys: 1000})
		require.NoError(t, err)
		start := time.Now()
		for range 10 {
			for i := range 3 {
				require.NoError(t, b.Increment(string(rune('a'+i)), 1))
			}
		}
		n, ok := b.Count("a")
		require.True(t, ok)
		require.Equal(t, int64(10), n)
		require.NoError(t, b.FlushAll(context.Background()))
		require.Zero(t, time.Since(start))
		require.Equal(t, int64(10), sink.sums["a"])
		require.Equal(t, 1, sink.calls)
		require.NoError(t, b.Increment("a", 5))
		require.NoError(t, b.Counter("a").Add(5))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Equal(t, int64(20), sink.sums["a"])
		fails := 3
		sink.after = func(Flush[string]) error {
			if fails--; fails >= 0 {
				return errors.New("cut")
			}
			return nil
		}
		require.NoError(t, b.Increment("b", 5))
		require.NoError(t, b.Flush(context.Background(), "b"))
		require.Equal(t, int64(15), sink.sums["b"])
		require.Equal(t, 3, sink.twice)
		fails = 3
		sink.before = func(Flush[string]) error {
			if fails--; fails >= 0 {
				return ErrNotStored
			}
			return nil
		}
		require.NoError(t, b.Increment("b", 5))
		require.NoError(t, b.Flush(context.Background(), "b"))
		require.Equal(t, int64(20), sink.sums["b"])
		time.Sleep(time.Minute)
		require.Equal(t, 1, b.Info().Keys)
		require.NoError(t, b.Increment("z", 5))
		require.NoError(t, b.Close(context.Background()))
		require.Equal(t, int64(5), sink.sums["z"])
		require.ErrorIs(t, b.Increment("z", 5), penstock.ErrClosed)
	})
}
