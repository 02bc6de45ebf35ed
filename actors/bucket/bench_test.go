package bucket

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/limit"
)

// These show where the time goes; bench/ compares.

var plenty = limit.Limit{Events: 1e9, Per: time.Second}

func BenchmarkTryAcquire(b *testing.B) {
	f := newFamily(b, Config{Limits: []limit.Limit{plenty}})
	held := f.Bucket("user")
	require.True(b, held.TryAcquire(Request{}).Allowed)
	b.Run("held", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			held.TryAcquire(Request{})
		}
	})
	b.Run("by ID", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Bucket("user").TryAcquire(Request{})
		}
	})
	b.Run("costs", func(b *testing.B) {
		b.ReportAllocs()
		r := Request{Costs: map[string]int{f.Limits()[0].Name: 3}}
		for b.Loop() {
			held.TryAcquire(r)
		}
	})
	b.Run("refused", func(b *testing.B) {
		full := newFamily(b, Config{Limits: []limit.Limit{{Events: 1, Per: time.Hour}}}).Bucket("user")
		full.TryAcquire(Request{})
		b.ReportAllocs()
		for b.Loop() {
			full.TryAcquire(Request{})
		}
	})
}

func BenchmarkAcquire(b *testing.B) {
	b.Run("room", func(b *testing.B) {
		held := newFamily(b, Config{Limits: []limit.Limit{plenty}}).Bucket("user")
		b.ReportAllocs()
		for b.Loop() {
			_, _ = held.Acquire(context.Background(), Request{})
		}
	})
	b.Run("waiting, 64 callers", func(b *testing.B) {
		held := newFamily(b, Config{Limits: []limit.Limit{{Events: 1, Per: time.Microsecond}}}).Bucket("user")
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = held.Acquire(context.Background(), Request{})
			}
		})
	})
}
