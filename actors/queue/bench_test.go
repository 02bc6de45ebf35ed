package queue

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
)

func BenchmarkRunFreeCounter(b *testing.B) {
	q := newQueue(b, Config{Regulators: []Regulator{Counter{Limit: 10}}})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Run(ctx, Request{}, nothing); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAskDone(b *testing.B) {
	q := newQueue(b, Config{Regulators: []Regulator{Counter{Limit: 10}}})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		j, err := q.Ask(ctx, Request{})
		if err != nil {
			b.Fatal(err)
		}
		j.Done()
	}
}

func BenchmarkRunSharedCounter(b *testing.B) {
	sys := roomtest.System(b)
	require.NoError(b, AddCounter(sys, "db", Counter{Limit: 10}))
	q := addQueue(b, sys, "test", Config{Regulators: []Regulator{NamedCounter("db", 1)}})
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Run(context.Background(), Request{}, nothing); err != nil {
			b.Fatal(err)
		}
	}
}

// Callers who come again at once, of a counter that lets few of them go.
func BenchmarkRunCounter64(b *testing.B) {
	crowdOf64(b, Config{Regulators: []Regulator{Counter{Limit: 8}}})
}

func BenchmarkRunRate64(b *testing.B) {
	crowdOf64(b, Config{Regulators: []Regulator{Rate{PerSecond: 1_000_000}}})
}

func crowdOf64(b *testing.B, cfg Config) {
	q := newQueue(b, cfg)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := q.Run(context.Background(), Request{}, nothing); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkRunCounter64Yield(b *testing.B) {
	q := newQueue(b, Config{Regulators: []Regulator{Counter{Limit: 8}}})
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := q.Run(context.Background(), Request{}, func(context.Context) error { runtime.Gosched(); return nil }); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkRunClusteredCounter is a pass through a counter of the whole cluster, of which the node has been lent enough.
func BenchmarkRunClusteredCounter(b *testing.B) {
	g := newGrid(b, "a", "b")
	var q *Queue
	for name, n := range g.nodes {
		require.NoError(b, AddCounter(n.sys, "db", Counter{Limit: 10, Clustered: true}))
		if name == "b" { // "a" owns it
			q = addQueue(b, n.sys, "q", Config{Regulators: []Regulator{NamedCounter("db", 1)}})
		}
	}
	ask(b, q, Request{}).Done()
	b.ReportAllocs()
	for b.Loop() {
		_ = q.Run(context.Background(), Request{}, nothing)
	}
}
