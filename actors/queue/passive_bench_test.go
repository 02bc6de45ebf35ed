package queue

import (
	"context"
	"testing"
)

func BenchmarkPassive(b *testing.B) {
	ctx := context.Background()
	b.Run("enqueue and dequeue", func(b *testing.B) {
		p := newPassive(b, PassiveConfig[int]{})
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Enqueue(ctx, 1)
			_, _ = p.Dequeue(ctx, 1)
		}
	})
	b.Run("enqueue and dequeue, MaxTime", func(b *testing.B) {
		p := newPassive(b, PassiveConfig[int]{MaxTime: maxWait})
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Enqueue(ctx, 1)
			_, _ = p.Dequeue(ctx, 1)
		}
	})
	b.Run("through a taker that waits", func(b *testing.B) {
		p := newPassive(b, PassiveConfig[int]{})
		got := make(chan struct{})
		ending, cancel := context.WithCancel(ctx)
		go func() {
			defer close(got)
			for {
				if _, err := p.Dequeue(ending, 1); err != nil {
					return
				}
				got <- struct{}{}
			}
		}()
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Enqueue(ctx, 1)
			<-got
		}
		cancel()
		<-got
	})
	b.Run("64 callers", func(b *testing.B) {
		p := newPassive(b, PassiveConfig[int]{})
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = p.Enqueue(ctx, 1)
				_, _ = p.Dequeue(ctx, 1)
			}
		})
	})
}
