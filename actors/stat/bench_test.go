package stat

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// nowhereSink takes everything.
type nowhereSink[K comparable] struct{ deltas atomic.Int64 }

func (s *nowhereSink[K]) Flush(_ context.Context, f Flush[K]) error {
	s.deltas.Add(int64(len(f.Deltas)))
	return nil
}

func benchBuffer(b testing.TB, keys int) (*Buffer[string], []string) {
	sys := roomtest.System(b)
	buf, err := NewBuffer(sys, "b", Config[string]{Sink: &nowhereSink[string]{}, Interval: time.Hour, MaxKeys: 2_000_000})
	require.NoError(b, err)
	names := make([]string, keys)
	for i := range names {
		names[i] = "key-" + strconv.Itoa(i)
		require.NoError(b, buf.Increment(names[i], 1))
	}
	return buf, names
}

func BenchmarkIncrement(b *testing.B) {
	for _, keys := range []int{1, 100_000} {
		buf, names := benchBuffer(b, keys)
		settle(b, buf, keys)
		b.Run(strconv.Itoa(keys), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i += 7919
				_ = buf.Increment(names[i%keys], 1)
			}
		})
	}
}

func BenchmarkCounter(b *testing.B) {
	buf, _ := benchBuffer(b, 1)
	c := buf.Counter("hot")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = c.Add(1)
		}
	})
}

// settle waits until every key has its actor.
func settle(tb testing.TB, buf *Buffer[string], keys int) {
	for {
		started := 0
		for e := range buf.ledger.family.All() {
			if e.Value.PID() != nil {
				started++
			}
		}
		if started >= keys {
			return
		}
		runtime.Gosched()
	}
}

func BenchmarkNewKey(b *testing.B) {
	names := make([]string, 1_900_000)
	for i := range names {
		names[i] = "key-" + strconv.Itoa(i)
	}
	sys, err := penstock.New()
	require.NoError(b, err)
	buf, err := NewBuffer(sys, "b", Config[string]{Sink: &nowhereSink[string]{}, Interval: time.Hour, MaxKeys: 2_000_000})
	require.NoError(b, err)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == len(names) {
			b.Fatal("too many")
		}
		_ = buf.Increment(names[i], 1)
		i++
	}
	b.StopTimer()
	_ = sys.Close(context.Background())
}
