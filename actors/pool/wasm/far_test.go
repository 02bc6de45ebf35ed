//go:build !race

package wasm

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/cluster"
	tables "github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// joined is a system that is a node.
func joined(t *testing.T, file, name string) *penstock.System {
	t.Helper()
	db, err := sqlite.Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	leases, err := sqlite.NewLeases(t.Context(), db, tables.LeaseTable{})
	require.NoError(t, err)
	sys, err := penstock.New()
	require.NoError(t, err)
	t.Cleanup(func() { _ = sys.Close(context.Background()) })
	_, err = cluster.Join(t.Context(), sys, cluster.Config{Name: name, Bind: "127.0.0.1:0", Leases: leases, Lease: time.Second, Shards: 4})
	require.NoError(t, err)
	return sys
}

// TestModulesRunAtAnotherNode is not for the race detector: the engine sets the logger of all of gRPC at each node's start.
//
// It has two nodes in one process: the module that one of them serves is another one than the other calls.
func TestModulesRunAtAnotherNode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases.db")
	a, b := joined(t, file, "a"), joined(t, file, "b")
	theirs, err := pool.New(b, "work", pool.Config{Clustered: true})
	require.NoError(t, err)
	far, err := pool.At(a, "b", "work")
	require.NoError(t, err)
	p, err := pool.New(a, "p", pool.Config{DelegateTo: far})
	require.NoError(t, err)
	ctx := context.Background()

	host := compile(t, sample(), Config{Name: "sample", Served: true})
	_, err = Compile(ctx, sample().encode(), Config{Name: "sample", Served: true})
	require.ErrorIs(t, err, penstock.ErrExists)
	m := compile(t, sample(), Config{Name: "sample"})
	var got []uint64
	require.Eventually(t, func() bool { // until they know of each other
		got, err = pool.Run(ctx, p, pool.Task{}, m.Call("add", 2, 3))
		return !errors.Is(err, cluster.ErrAway)
	}, time.Minute, time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, []uint64{5}, got)
	assert.Equal(t, []uint64{0, 1}, []uint64{m.Info().Started, host.Info().Started})
	_, err = pool.Run(ctx, p, pool.Task{}, m.Call("floats", 1, 2))
	require.NoError(t, err)
	_, err = pool.Run(ctx, p, pool.Task{Name: "x"}, m.Call("hogAndTrap"))
	var memory *pool.MemoryError
	require.ErrorAs(t, err, &memory)
	assert.Equal(t, []any{"b", pool.Wasm, int64(10 << 20)}, []any{memory.Node, memory.Tier, memory.Limit})
	_, err = pool.Run(ctx, p, pool.Task{}, m.Call("trap"))
	assert.ErrorContains(t, err, `node "b"`)
	assert.ErrorContains(t, err, "trap trapped: unreachable")

	compile(t, echo(), Config{Name: "echo", Served: true})
	bytes, err := pool.Run(ctx, p, pool.Task{}, compile(t, echo(), Config{Name: "echo"}).Bytes("render", []byte("there and back")))
	require.NoError(t, err)
	assert.Equal(t, "there and back", string(bytes))

	var no *pool.RejectError
	other := sample()
	other.data = "other code"
	_, err = pool.Run(ctx, p, pool.Task{}, compile(t, other, Config{Name: "sample"}).Call("add", 1, 1))
	require.ErrorAs(t, err, &no)
	assert.Equal(t, pool.Unregistered, no.Reason)
	require.NoError(t, host.Close(ctx))
	_, err = pool.Run(ctx, p, pool.Task{}, m.Call("add", 2, 3))
	require.ErrorAs(t, err, &no)
	assert.Equal(t, pool.Unregistered, no.Reason)
	for _, p := range []*pool.Pool{p, far, theirs} {
		require.Eventually(t, func() bool { return p.Info().Workers == 0 }, time.Minute, time.Millisecond)
	}
}
