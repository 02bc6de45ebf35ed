package wasm

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// TestMain leaves the example that compiles a guest written in Go out of the short suite: an example cannot skip itself.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() && flag.Lookup("test.skip").Value.String() == "" {
		_ = flag.Set("test.skip", "^Example_renderer$")
	}
	os.Exit(m.Run())
}

// newPool starts a system with one pool.
func newPool(t testing.TB, cfg pool.Config) *pool.Pool {
	t.Helper()
	sys, err := penstock.New()
	require.NoError(t, err)
	t.Cleanup(func() { _ = sys.Close(context.Background()) })
	p, err := pool.New(sys, "test", cfg)
	require.NoError(t, err)
	return p
}

// sample has a function for most of what a guest may do.
func sample() guest {
	const counter = 64
	return guest{
		memory:  []uint32{1},
		tables:  []uint32{2},
		entries: []uint32{0},
		funcs: []fn{
			{name: "add", params: "ii", results: "i", code: code(get(0), get(1), add)},
			{name: "divide", params: "ii", results: "i", code: code(get(0), get(1), divide)},
			{name: "trap", code: code(unreachable)},
			{name: "load", params: "i", results: "i", code: code(get(0), load)},
			{name: "indirect", params: "i", results: "i", code: code(1, 2, get(0), doAt(0))},
			{name: "confuse", code: code(0, doAt(2))},
			{name: "count", results: "i", code: code(counter, counter, load, 1, add, store, counter, load)},
			{name: "spin", params: "i", results: "i", locals: "i", code: code(
				loop, get(1), 1, add, tee(1), get(0), less, againIf(0), end, get(1))},
			{name: "recurse", params: "i", results: "i", code: code( // to the depth that it is given
				get(0), isZero, "\x04\x7f", 0, otherwise, get(0), 1, sub, do(8), 1, add, end)},
			{name: "fib", params: "i", results: "i", code: code(
				get(0), 2, less, "\x04\x7f", get(0), otherwise, get(0), 1, sub, do(9), get(0), 2, sub, do(9), add, end)},
			{name: "hog", results: "i", code: code( // grows by pages as far as it can, and says how far
				loop, 1, grow, -1, equal, isZero, againIf(0), end, pages)},
			{name: "hogAndTrap", code: code(do(10), drop, unreachable)},
			{name: "fill", params: "ii", code: code( // fills all of memory, times and times
				loop, 0, 7, get(0), fill, get(1), 1, sub, tee(1), againIf(0), end)},
			{name: "long", params: "l", results: "l", code: code(get(0))},
			{name: "floats", params: "fd", results: "fd", code: code(get(0), get(1))},
		},
	}
}
