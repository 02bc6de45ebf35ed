package wasm

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

func TestP6_MemoryEndsAtTheCapToThePage(t *testing.T) {
	for _, c := range []struct{ module, task, pages int64 }{
		{64 << 20, 0, 160}, // a task's default is 10 MiB
		{64 << 20, 1 << 20, 16},
		{1 << 20, 64 << 20, 16},
		{64 << 20, 1<<20 - 1, 15},
		{2*page - 1, 64 << 20, 1},
	} {
		m := compile(t, sample(), Config{MaxMemory: c.module})
		got, err := pool.Guard(context.Background(), pool.Task{MaxMemory: c.task}, m.Call("hog"))
		require.NoError(t, err, "a guest that can do with less is not stopped")
		assert.EqualValues(t, c.pages, got[0], "%+v", c)
	}
	m := compile(t, sample(), Config{MaxMemory: 3 << 20})
	got, err := m.Call("hog")(context.Background())
	require.NoError(t, err)
	assert.EqualValues(t, 48, got[0], "without a task the module's own cap holds")

	g := sample()
	g.memory = []uint32{1, 4}
	m = compile(t, g, Config{})
	got, err = m.Call("hog")(context.Background())
	require.NoError(t, err)
	assert.EqualValues(t, 4, got[0], "and what it says itself")
	_, err = m.Call("hogAndTrap")(context.Background())
	var full *pool.MemoryError
	require.ErrorAs(t, err, &full)
	assert.EqualValues(t, 4*page, full.Limit)
}

func TestP6_ARefusalAndThenATrapIsAMemoryError(t *testing.T) {
	p := newPool(t, pool.Config{})
	m := compile(t, sample(), Config{Name: "sample"})
	_, err := pool.Run(context.Background(), p, pool.Task{Name: "hog", MaxMemory: 1 << 20}, m.Call("hogAndTrap"))
	var full *pool.MemoryError
	require.ErrorAs(t, err, &full)
	assert.Equal(t, pool.MemoryError{
		Pool: "test", Task: "hog", Tier: pool.Wasm, Limit: 1 << 20,
		Detail: `wasm module "sample": it was refused more, and then: unreachable`,
	}, *full)
	assert.Equal(t, Info{Started: 1}, m.Info())
	assert.Zero(t, p.Info().Memory)

	_, err = m.Call("trap")(context.Background())
	var trap *TrapError
	assert.ErrorAs(t, err, &trap, "a trap that has nothing to do with memory is told from it")
	_, err = m.Call("hog")(context.Background())
	require.NoError(t, err)
	_, err = m.Call("trap")(context.Background())
	assert.ErrorAs(t, err, &trap, "nor has a refusal in an earlier call of the instance")
}

func TestP6_ARefusalThatWasMadeGoodIsForgotten(t *testing.T) {
	m := compile(t, guest{memory: []uint32{1}, funcs: []fn{
		{name: "f", code: code(100, grow, drop, 1, grow, drop, unreachable)},
	}}, Config{MaxMemory: 1 << 20})
	_, err := m.Call("f")(context.Background())
	var trap *TrapError
	require.ErrorAs(t, err, &trap)
}

func TestP6_AMemoryThatBeginsTooLargeIsRefused(t *testing.T) {
	g := guest{memory: []uint32{32}, funcs: []fn{{name: "f"}}}
	_, err := Compile(context.Background(), g.encode(), Config{MaxMemory: 1 << 20})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorContains(t, err, "its memory begins with 2097152 bytes; MaxMemory is 1048576")

	m := compile(t, g, Config{})
	_, err = pool.Guard(context.Background(), pool.Task{Name: "f", MaxMemory: 1 << 20}, m.Call("f"))
	var full *pool.MemoryError
	require.ErrorAs(t, err, &full)
	assert.ErrorContains(t, err, `task "f" ran out of memory: it may have 1048576 bytes: wasm module "module": its memory begins with 2097152 bytes`)
	assert.Zero(t, m.Info().Started)
}

func TestP6_AnInstanceThatIsTooLargeForACallIsNotUsed(t *testing.T) {
	m := compile(t, sample(), Config{})
	large := pool.Task{MaxMemory: 5 << 20}
	small := pool.Task{MaxMemory: 1 << 20}
	run := func(task pool.Task, function string) uint64 {
		got, err := pool.Guard(context.Background(), task, m.Call(function))
		require.NoError(t, err)
		return got[0]
	}
	assert.EqualValues(t, 1, run(large, "count"))
	assert.EqualValues(t, 80, run(large, "hog"))
	assert.EqualValues(t, 1, run(small, "count"), "a fresh one")
	assert.EqualValues(t, 16, run(small, "hog"))
	assert.EqualValues(t, 2, run(small, "count"))
	assert.Equal(t, Info{Idle: 2, Started: 2, Memory: 6 << 20}, m.Info(), "the host has no more for them than they may have")
	assert.EqualValues(t, 80, run(large, "hog"), "and what a small call left may grow again")
}

func TestP6_AnInstanceThatIsTooLargeMakesRoomForOneThatIsNot(t *testing.T) {
	m := compile(t, sample(), Config{MaxIdle: 1})
	_, err := m.Call("hog")(context.Background())
	require.NoError(t, err)
	for n := range 3 {
		got, err := pool.Guard(context.Background(), pool.Task{MaxMemory: 1 << 20}, m.Call("count"))
		require.NoError(t, err)
		assert.EqualValues(t, n+1, got[0])
	}
	assert.Equal(t, Info{Idle: 1, Started: 2, Memory: page}, m.Info())
}

func TestP6_TablesAreBounded(t *testing.T) {
	const tableGrow, nothing = "\xfc\x0f\x00", "\xd0\x70"
	m := compile(t, guest{tables: []uint32{10}, funcs: []fn{
		{name: "grow", params: "i", results: "i", code: code(nothing, get(0), tableGrow)},
	}}, Config{})
	for _, n := range []uint64{1, 1_000_000_000, 1<<32 - 1} {
		got, err := m.Call("grow", n)(context.Background())
		require.NoError(t, err)
		assert.EqualValues(t, 1<<32-1, got[0], "a table does not grow")
	}
	_, err := Compile(context.Background(), guest{tables: []uint32{1 << 19, 1<<19 + 1}}.encode(), Config{})
	assert.ErrorIs(t, err, penstock.ErrInvalid)
	assert.ErrorContains(t, err, "its tables have more than 1048576 entries")
}

// allocated is how much f allocates of the host's memory, all in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestP6_TheStackIsBounded(t *testing.T) {
	m := compile(t, sample(), Config{})
	var err error
	n := allocated(func() { _, err = m.Call("recurse", 1<<30)(context.Background()) })
	var trap *TrapError
	require.ErrorAs(t, err, &trap)
	assert.Equal(t, StackOverflow, trap.Trap)
	assert.Less(t, n, uint64(16<<20), "wazero's own bound takes 161 MiB")
}

func TestP6_TheHostsMemoryStaysFlat(t *testing.T) {
	m := compile(t, sample(), Config{MaxMemory: 8 << 20})
	calls := 200
	if testing.Short() {
		calls = 20
	}
	inUse := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	var full *pool.MemoryError
	_, err := m.Call("hogAndTrap")(context.Background())
	require.ErrorAs(t, err, &full)
	before := inUse()
	for range calls {
		_, err := m.Call("hogAndTrap")(context.Background())
		require.ErrorAs(t, err, &full)
	}
	assert.Less(t, inUse(), before+8<<20, "instances that died are released")
	assert.Equal(t, Info{Started: uint64(calls) + 1}, m.Info())
}
