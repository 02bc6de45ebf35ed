package durable

import (
	"context"
	"testing"
)

// BenchmarkEnqueue is with a sync of the disk for each commit, shared by those who come meanwhile.
func BenchmarkEnqueue(b *testing.B) {
	item := make([]byte, 100)
	for name, parallelism := range map[string]int{"1 caller": 0, "64 callers": 32} {
		b.Run(name, func(b *testing.B) {
			q := newQueue(b, Config[[]byte]{MaxSize: maxCount, Encode: raw, Decode: raw})
			b.ReportAllocs()
			run := func(next func() bool) {
				for next() {
					if err := q.Enqueue(context.Background(), item); err != nil {
						b.Error(err)
						return
					}
				}
			}
			if parallelism == 0 {
				run(b.Loop)
			} else {
				b.SetParallelism(parallelism)
				b.RunParallel(func(pb *testing.PB) { run(pb.Next) })
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
			b.ReportMetric(float64(q.Info().Enqueued)/float64(q.Info().Commits), "items/commit")
		})
	}
}

// BenchmarkCycle is an item's whole life: in, handed out, acknowledged, each time on disk.
func BenchmarkCycle(b *testing.B) {
	q := newQueue(b, Config[[]byte]{MaxSize: maxCount, Encode: raw, Decode: raw})
	item := make([]byte, 100)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for pb.Next() {
			if err := q.Enqueue(ctx, item); err != nil {
				b.Error(err)
				return
			}
			list, err := q.Dequeue(ctx, 1)
			if err != nil {
				b.Error(err)
				return
			}
			if err := q.Ack(ctx, list[0].Receipt); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

func raw(b []byte) ([]byte, error) { return b, nil }
