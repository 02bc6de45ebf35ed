package wasm

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/actors/pool/wasm/internal/meter"
)

func BenchmarkWarmCall(b *testing.B) {
	call := compile(b, sample(), Config{}).Call("add", 1, 2)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := call(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWarmBytes(b *testing.B) {
	call := compile(b, echo(), Config{}).Bytes("render", make([]byte, 1000))
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := call(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWarmCallThroughPool is the whole round trip, beside one of a function that does nothing.
func BenchmarkWarmCallThroughPool(b *testing.B) {
	p := newPool(b, pool.Config{MaxWaiting: 1000})
	m := compile(b, sample(), Config{})
	task, ctx := pool.Task{Name: "add"}, context.Background()
	b.Run("wasm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := pool.Run(ctx, p, task, m.Call("add", 1, 2)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("goroutine", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := pool.Run(ctx, p, task, func(context.Context) (int, error) { return 3, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFreshCall is with an instance for each call, of one page of memory.
func BenchmarkFreshCall(b *testing.B) {
	call := compile(b, sample(), Config{Fresh: true}).Call("add", 1, 2)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := call(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStop is the time from the end of the context until the call has returned, in the middle of a loop.
func BenchmarkStop(b *testing.B) {
	m, arrived := compileEndless(b, Config{})
	var took, worst time.Duration
	for b.Loop() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan time.Time)
		go func() {
			_, _ = m.Call("loop")(ctx)
			done <- time.Now()
		}()
		<-arrived
		time.Sleep(100 * time.Microsecond) // well into the loop
		begin := time.Now()
		cancel()
		d := (<-done).Sub(begin)
		took, worst = took+d, max(worst, d)
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/stop")
	b.ReportMetric(float64(worst.Microseconds()), "µs/worst")
}

// BenchmarkMeter is what being stoppable costs a loop's turn and a call: without, as wazero does it, and metered.
func BenchmarkMeter(b *testing.B) {
	plain := sample().encode()
	metered, err := meter.Meter(plain)
	require.NoError(b, err)
	for _, c := range []struct {
		name    string
		code    []byte
		closing bool
	}{{"plain", plain, false}, {"closing on context done", plain, true}, {"metered", metered.Code, false}} {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(c.closing))
		defer r.Close(ctx)
		_, err := r.NewHostModuleBuilder(meter.Host).NewFunctionBuilder().
			WithGoFunction(api.GoFunc(func(context.Context, []uint64) {}), []api.ValueType{i32}, nil).Export(meter.Pause).Instantiate(ctx)
		require.NoError(b, err)
		m, err := r.Instantiate(ctx, c.code)
		require.NoError(b, err)
		run := func(function string, arg uint64, n float64) {
			b.Run(c.name+"/"+function, func(b *testing.B) {
				f := m.ExportedFunction(function)
				for b.Loop() {
					if _, err := f.Call(ctx, arg); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/each")
			})
		}
		run("spin", 1_000_000, 1_000_000)
		run("fib", 25, 242_785) // calls
	}
}
