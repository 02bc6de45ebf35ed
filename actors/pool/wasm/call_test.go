package wasm

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

func TestCallsReturnWhatTheFunctionReturns(t *testing.T) {
	m := compile(t, sample(), Config{})
	ctx := context.Background()
	got, err := m.Call("add", 2, 3)(ctx)
	require.NoError(t, err)
	assert.Equal(t, []uint64{5}, got)
	got, err = m.Call("long", 1<<63)(ctx)
	require.NoError(t, err)
	assert.Equal(t, []uint64{1 << 63}, got)
	got, err = m.Call("floats", api.EncodeF32(1.5), api.EncodeF64(-2.5))(ctx)
	require.NoError(t, err)
	assert.Equal(t, []uint64{api.EncodeF32(1.5), api.EncodeF64(-2.5)}, got)
	got, err = m.Call("recurse", 1000)(ctx)
	require.NoError(t, err)
	assert.Equal(t, []uint64{1000}, got)
}

func TestCallsRunInAPoolAsTheWasmTier(t *testing.T) {
	var tier pool.Tier
	g := guest{
		imports: []imported{{module: "env", name: "look"}},
		funcs:   []fn{{name: "look", code: code(do(0))}},
	}
	m := compile(t, g, Config{Imports: map[string]func(wazero.HostModuleBuilder){
		"env": func(b wazero.HostModuleBuilder) {
			b.NewFunctionBuilder().WithFunc(func(ctx context.Context) {
				job, _ := pool.JobOf(ctx)
				tier = job.Tier()
			}).Export("look")
		},
	}})
	_, err := pool.Run(context.Background(), newPool(t, pool.Config{}), pool.Task{Name: "look"}, m.Call("look"))
	require.NoError(t, err)
	assert.Equal(t, pool.Wasm, tier)
}

func TestP7_TrapsAreTold(t *testing.T) {
	p := newPool(t, pool.Config{})
	m := compile(t, sample(), Config{Name: "sample"})
	for _, c := range []struct {
		function string
		args     []uint64
		trap     Trap
	}{
		{"trap", nil, Unreachable},
		{"divide", []uint64{1, 0}, DivideByZero},
		{"divide", []uint64{1 << 31, 1<<32 - 1}, IntegerOverflow},
		{"load", []uint64{1<<16 - 3}, OutOfBounds},
		{"load", []uint64{1<<32 - 1}, OutOfBounds},
		{"indirect", []uint64{1}, TableAccess},
		{"indirect", []uint64{2}, TableAccess},
		{"confuse", nil, TypeMismatch},
		{"recurse", []uint64{1 << 20}, StackOverflow},
	} {
		_, err := pool.Run(context.Background(), p, pool.Task{Name: "task"}, m.Call(c.function, c.args...))
		var trap *TrapError
		require.ErrorAs(t, err, &trap, "%s%v", c.function, c.args)
		assert.Equal(t, c.trap, trap.Trap, "%s%v", c.function, c.args)
		assert.Equal(t, c.function, trap.Function)
		assert.Equal(t, "sample", trap.Module)
		assert.Contains(t, trap.Stack, "(")
		assert.ErrorContains(t, err, `wasm module "sample": `+c.function+" trapped: "+string(c.trap))
		assert.Zero(t, m.Info().Idle, "an instance that trapped serves no other call")
	}
	got, err := pool.Run(context.Background(), p, pool.Task{}, m.Call("add", 1, 1))
	require.NoError(t, err)
	assert.Equal(t, []uint64{2}, got, "the pool and the module are unharmed")
	assert.Zero(t, p.Info().Memory, "and nothing is held")
}

func TestP7_AModuleThatTrapsAtItsStartIsTold(t *testing.T) {
	m := compile(t, guest{start: 1, funcs: []fn{{name: "f"}, {code: code(unreachable)}}}, Config{})
	for range 2 {
		_, err := m.Call("f")(context.Background())
		var trap *TrapError
		require.ErrorAs(t, err, &trap)
		assert.Equal(t, Unreachable, trap.Trap)
	}
	m = compile(t, guest{memory: []uint32{0}, data: "more than there is", funcs: []fn{{name: "f"}}}, Config{})
	_, err := m.Call("f")(context.Background())
	var trap *TrapError
	require.ErrorAs(t, err, &trap)
	assert.Contains(t, trap.Trap, OutOfBounds)
}

func TestP7_APanicOfTheHostsFunctionsReachesTheCaller(t *testing.T) {
	failed := errors.New("failed")
	g := guest{
		imports: []imported{{module: "env", name: "error"}, {module: "env", name: "text"}, {module: "env", name: "nil"}},
		funcs:   []fn{{name: "error", code: code(do(0))}, {name: "text", code: code(do(1))}, {name: "nil", code: code(do(2))}},
	}
	m := compile(t, g, Config{Imports: map[string]func(wazero.HostModuleBuilder){
		"env": func(b wazero.HostModuleBuilder) {
			b.NewFunctionBuilder().WithFunc(func() { panic(failed) }).Export("error")
			b.NewFunctionBuilder().WithFunc(func() { panic("a text") }).Export("text")
			b.NewFunctionBuilder().WithFunc(func() { var p *int; *p = 1 }).Export("nil")
		},
	}})
	for function, says := range map[string]string{"error": "failed", "text": "a text", "nil": "nil pointer"} {
		_, err := m.Call(function)(context.Background())
		var panicked *penstock.PanicError
		require.ErrorAs(t, err, &panicked)
		assert.ErrorContains(t, err, says)
		assert.NotEmpty(t, panicked.Stack)
		assert.Equal(t, function == "error", errors.Is(err, failed))
	}
	assert.Zero(t, m.Info().Idle)
}

func TestAnInstanceIsUsedAgain(t *testing.T) {
	count := func(m *Module, n int) (got []uint64) {
		for range n {
			r, err := m.Call("count")(context.Background())
			require.NoError(t, err)
			got = append(got, r[0])
		}
		return got
	}
	m := compile(t, sample(), Config{MaxCalls: 3})
	assert.Equal(t, []uint64{1, 2, 3, 1, 2}, count(m, 5), "what a call leaves behind the next one finds, until MaxCalls")
	assert.EqualValues(t, 2, m.Info().Started)
	assert.Equal(t, 1, m.Info().Idle)
	assert.EqualValues(t, page, m.Info().Memory)

	m = compile(t, sample(), Config{Fresh: true})
	assert.Equal(t, []uint64{1, 1, 1}, count(m, 3), "Fresh")
	assert.Zero(t, m.Info().Idle)
}

func TestG10_IdleInstancesAreBounded(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	g := guest{
		imports: []imported{{module: "env", name: "wait"}},
		funcs:   []fn{{name: "wait", code: code(do(0))}},
	}
	m := compile(t, g, Config{MaxIdle: 2, Imports: map[string]func(wazero.HostModuleBuilder){
		"env": func(b wazero.HostModuleBuilder) {
			b.NewFunctionBuilder().WithFunc(func() { arrived <- struct{}{}; <-leave }).Export("wait")
		},
	}})
	done := make(chan error)
	for range 5 {
		go func() { _, err := m.Call("wait")(context.Background()); done <- err }()
		<-arrived
	}
	assert.Equal(t, Info{Running: 5, Started: 5}, m.Info())
	close(leave)
	for range 5 {
		require.NoError(t, <-done)
	}
	assert.Equal(t, Info{Idle: 2, Started: 5}, m.Info())
}

func TestCallsThatCannotBeAreRefused(t *testing.T) {
	g := sample()
	g.funcs = append(g.funcs, fn{name: "vector", params: "v"}, fn{name: "reference", params: "r"},
		fn{name: "alloc", params: "i", results: "l", code: code(long(0))}, fn{name: "render", params: "ii", results: "l", code: code(long(0))})
	m := compile(t, g, Config{Name: "m", MaxInput: 10})
	small := guest{funcs: []fn{
		{name: "alloc", params: "i", results: "i", code: code(1)},
		{name: "render", params: "ii", results: "l", code: code(long(0))},
		{name: "add", params: "ii", results: "i", code: code(1)},
		{name: "_start"},
	}}
	n := compile(t, small, Config{Name: "n", MaxInput: 10})
	small.memory = []uint32{1}
	o := compile(t, small, Config{Name: "o", MaxInput: 10})
	nothing := compile(t, guest{}, Config{Name: "nothing"})
	ignore := func(_ []byte, err error) error { return err }
	number := func(_ []uint64, err error) error { return err }
	ctx := context.Background()
	for says, err := range map[string]error{
		`wasm module "m": penstock: invalid call: it exports no function "none"; those that it exports: add, alloc, confuse`: number(m.Call("none")(ctx)),
		`it exports no function ""; those that it exports: none`:                                                             number(nothing.Call("")(ctx)),
		`add is (i32, i32) → (i32); it takes 2 arguments, and is given 1`:                                                    number(m.Call("add", 1)(ctx)),
		`it takes 2 arguments, and is given 3`:                                                                               number(m.Call("add", 1, 2, 3)(ctx)),
		`vector is (v128) → (); only numbers can be given and returned`:                                                      number(m.Call("vector", 1)(ctx)),
		`reference is (funcref) → (); only numbers`:                                                                          number(m.Call("reference", 1)(ctx)),
		`alloc is (i32) → (i64); it has to be (i32) → (i32)`:                                                                 ignore(m.Bytes("render", nil)(ctx)),
		`it exports no function "alloc"`:                                                                                     ignore(nothing.Bytes("render", nil)(ctx)),
		`it has no memory, where bytes could be`:                                                                             ignore(n.Bytes("render", nil)(ctx)),
		`add is (i32, i32) → (i32); it has to be (i32, i32) → (i64)`:                                                         ignore(o.Bytes("add", nil)(ctx)),
		`its input has 11 bytes; it may have 10`:                                                                             ignore(o.Bytes("render", make([]byte, 11))(ctx)),
		`it exports no function "_start"; those that it exports: add`:                                                        ignore(m.Main(nil)(ctx)),
		`wasm module "o": penstock: invalid call: its input has 13 bytes; it may ha`:                                         ignore(o.Main(make([]byte, 10), "arg")(ctx)),
		`argument "a\x00" has a zero byte`:                                                                                   ignore(o.Main(nil, "a\x00")(ctx)),
	} {
		assert.ErrorIs(t, err, penstock.ErrInvalid, says)
		assert.ErrorContains(t, err, says)
	}
	assert.Zero(t, m.Info().Started, "nothing was started for any of them")
}

func TestManyCallAtOnce(t *testing.T) {
	m := compile(t, sample(), Config{MaxIdle: 2, MaxCalls: 7})
	p := newPool(t, pool.Config{MaxWaiting: 1000})
	done := make(chan error)
	const callers = 16
	for n := range uint64(callers) {
		go func() {
			for k := range uint64(100) {
				got, err := pool.Run(context.Background(), p, pool.Task{}, m.Call("add", n, k))
				switch {
				case err != nil:
					done <- err
					return
				case got[0] != n+k:
					done <- errors.New("wrong")
					return
				}
				if k%10 == n%10 {
					if _, err := m.Call("trap")(context.Background()); err == nil {
						done <- errors.New("no trap")
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range callers {
		require.NoError(t, <-done)
	}
	assert.Zero(t, m.Info().Running)
	assert.LessOrEqual(t, m.Info().Idle, 2)
}
