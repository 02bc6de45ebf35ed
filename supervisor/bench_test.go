package supervisor

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
)

func benchmarkFamily(b *testing.B, spec Spec[int, tally]) *Family[int, tally] {
	tree := New(Config{})
	b.Cleanup(func() { require.NoError(b, tree.Close(context.Background())) })
	spec.Kind, spec.Name = "bench", "f"
	if spec.New == nil {
		spec.New = func(*registryEntry) actor.Actor { return counter{} }
	}
	f, err := NewFamily(tree, spec)
	require.NoError(b, err)
	return f
}

// BenchmarkSpawn is the first use of a key, until its actor runs.
func BenchmarkSpawn(b *testing.B) {
	f := benchmarkFamily(b, Spec[int, tally]{})
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N { // not b.Loop: the spawners' work, which lags behind, belongs to the time
		if _, err := f.Get(i); err != nil {
			b.Fatal(err)
		}
	}
	for f.tree.counts.started.Load() < uint64(b.N) {
		runtime.Gosched()
	}
}

func BenchmarkGet(b *testing.B) {
	f := benchmarkFamily(b, Spec[int, tally]{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Get(1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSend is a message to a running actor that is otherwise idle; it is answered.
func BenchmarkSend(b *testing.B) {
	reply := make(chan struct{}, 1)
	f := benchmarkFamily(b, Spec[int, tally]{New: func(*registryEntry) actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if c, ok := ctx.Message().(chan struct{}); ok {
				c <- struct{}{}
			}
		})
	}})
	e, err := f.Get(1)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		f.Send(e, reply)
		<-reply
	}
}

// BenchmarkSendParallel is many senders to one actor, without answers.
func BenchmarkSendParallel(b *testing.B) {
	f := benchmarkFamily(b, Spec[int, tally]{})
	e, err := f.Get(1)
	require.NoError(b, err)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			f.Send(e, "")
		}
	})
}

// BenchmarkPassivate is the whole way of an ID that is used once: start, one message, put away.
func BenchmarkPassivate(b *testing.B) {
	f := benchmarkFamily(b, Spec[int, tally]{Idle: time.Nanosecond})
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N { // not b.Loop, as above
		e, err := f.Get(i)
		if err != nil {
			b.Fatal(err)
		}
		f.Send(e, "")
	}
	for f.tree.counts.passivated.Load() < uint64(b.N) {
		runtime.Gosched()
	}
}
