package batch

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
)

// BenchmarkRun has 10,000 operations in flight, over more and more keys, in windows of 10 ms.
func BenchmarkRun(b *testing.B) {
	for _, keys := range []int{1, 64, 4096, 262_144} {
		b.Run(strconv.Itoa(keys), func(b *testing.B) {
			p, err := NewProcessor(roomtest.System(b), "b", Config[string, *int]{
				MinDuration: 10 * time.Millisecond, MaxDuration: time.Minute,
				Load: func(context.Context, string) (*int, error) { return new(int), nil },
				Save: func(context.Context, string, *int) error { return nil },
			})
			require.NoError(b, err)
			names := make([]string, keys)
			for i := range names {
				names[i] = strconv.Itoa(i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range 10_000 {
				wg.Go(func() {
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						if err := p.Run(context.Background(), names[i*7919%int64(keys)], func(v *int) { *v++ }); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkGroupCommit is one caller at a key that nobody else uses.
func BenchmarkGroupCommit(b *testing.B) {
	p, err := NewProcessor(roomtest.System(b), "b", Config[string, *int]{
		MinDuration: NoWait,
		Load:        func(context.Context, string) (*int, error) { return new(int), nil },
		Save:        func(context.Context, string, *int) error { return nil },
	})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Run(context.Background(), "a", func(v *int) { *v++ }); err != nil {
			b.Fatal(err)
		}
	}
}
