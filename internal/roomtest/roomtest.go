// Package roomtest has what the tests of several rooms need: systems that end with their test, callers that are counted, and
// what holds for every room.
package roomtest

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

// System starts a system, and closes it at the end of the test, without patience, if the test has not.
func System(t testing.TB, opts ...penstock.Option) *penstock.System {
	t.Helper()
	sys, err := penstock.New(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sys.Close(EndedContext()) })
	return sys
}

// Deterministic has a system run its actors on the goroutines of those who send to them, which makes one order of events out
// of many.
func Deterministic() penstock.Option {
	return penstock.WithDispatcher(actor.NewSynchronizedDispatcher(300))
}

// Within returns a context that ends after d. Its timer ends with the test.
func Within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// EndedContext returns a context that was cancelled.
func EndedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Seeds is how many random runs a test makes: 20, and 5 in the short suite.
func Seeds() uint64 {
	if testing.Short() {
		return 5
	}
	return 20
}

// Heap is how many bytes are in use once the garbage has been collected.
func Heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
