package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// Call is a call of a function that the module exports, with numbers: i32, i64, f32 and f64, each in a uint64 as
// api.EncodeI32 and so on make it. It is to be run by a pool, or by itself.
//
// Its errors: a [*pool.MemoryError] at the memory's cap, a [*TrapError], a [*pool.CrashError] if the module called
// proc_exit, a [*penstock.PanicError] of a function of [Config.Imports]; the cause of the context's end;
// [penstock.ErrInvalid] if there is no such function or it does not take these arguments; [penstock.ErrClosed].
func (m *Module) Call(function string, args ...uint64) func(context.Context) ([]uint64, error) {
	err := m.checkCall(function, len(args))
	fn := func(ctx context.Context) ([]uint64, error) {
		if err != nil {
			return nil, err
		}
		if j, ok := far(ctx); ok {
			return m.callFar(ctx, j, function, args)
		}
		return use(ctx, m, function, func(i *instance) ([]uint64, error) { return i.invoke(function, args...) })
	}
	pool.MayTravel(fn)
	return fn
}

// Bytes is a call of a function that takes bytes and returns bytes, by a convention. The module exports its memory,
// "alloc" and the function:
//
//	alloc(length i32) → i32              where the input can be written; 0 if there is no room
//	function(at, length i32) → i64       at<<32 | length of the output, or of the text of an error and then | 1<<31
//
// An input of no bytes is at 0, without an alloc. The input is the function's to free or to use again; its output must stay
// until the instance is called again. The error may be a [*GuestError], which is what the function says, or an
// [*AnswerError]; the others are those of [Module.Call]. The instance is used again after a GuestError.
func (m *Module) Bytes(function string, input []byte) func(context.Context) ([]byte, error) {
	err := m.checkBytes(function, input)
	fn := func(ctx context.Context) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		if j, ok := far(ctx); ok {
			w := m.work(pool.BytesForm)
			w.Function, w.Input = function, input
			return j.Travel(ctx, w)
		}
		return use(ctx, m, function, func(i *instance) ([]byte, error) { return i.bytes(function, input) })
	}
	pool.MayTravel(fn)
	return fn
}

// Main runs the module as a command of WASI, in an instance of its own: from its standard input to its standard output. An
// exit status that is not 0 is a [*pool.CrashError], with what it wrote to its standard error; too much output is an
// [*AnswerError]; the other errors are those of [Module.Call].
func (m *Module) Main(stdin []byte, args ...string) func(context.Context) ([]byte, error) {
	err := m.checkMain(stdin, args)
	fn := func(ctx context.Context) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		if j, ok := far(ctx); ok {
			w := m.work(pool.MainForm)
			w.Input, w.Args = stdin, args
			return j.Travel(ctx, w)
		}
		return m.main(ctx, stdin, args)
	}
	pool.MayTravel(fn)
	return fn
}

// use has an instance serve one call.
func use[T any](ctx context.Context, m *Module, function string, serve func(*instance) (T, error)) (T, error) {
	deepen()
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	if err := m.enter(); err != nil {
		return none, err
	}
	defer m.leave()
	i, err := m.take(m.newCall(ctx, function))
	if err != nil {
		return none, err
	}
	defer m.give(i)
	i.spoiled = true
	result, err := serve(i)
	if err != nil {
		var said *GuestError
		i.spoiled = !errors.As(err, &said)
		return none, err
	}
	i.spoiled = false
	return result, nil
}

const (
	alloc  = "alloc"
	failed = 1 << 31 // with the length of a text that is an error
)

func (i *instance) bytes(function string, input []byte) ([]byte, error) {
	memory := i.wasm.Memory()
	var at uint64
	if n := uint64(len(input)); n > 0 {
		results, err := i.invoke(alloc, n)
		if err != nil {
			return nil, err
		}
		if at = results[0]; at == 0 {
			return nil, i.call.outOfMemory(fmt.Sprintf("alloc(%d) returned 0", n))
		}
		if !memory.Write(uint32(at), input) {
			return nil, i.unusable("alloc(%d) returned %d, and its memory has %d bytes", n, at, memory.Size())
		}
	}
	results, err := i.invoke(function, at, uint64(len(input)))
	if err != nil {
		return nil, err
	}
	from, length := uint32(results[0]>>32), uint32(results[0])&^failed
	if int64(length) > int64(i.module.cfg.MaxOutput) {
		return nil, i.unusable("it has %d bytes; it may have %d", length, i.module.cfg.MaxOutput)
	}
	output, ok := memory.Read(from, length)
	if !ok {
		return nil, i.unusable("it is said to be %d bytes at %d, and its memory has %d bytes", length, from, memory.Size())
	}
	if results[0]&failed != 0 {
		return nil, &GuestError{Module: i.module.cfg.Name, Function: function, Text: strings.ToValidUTF8(string(output), "�")}
	}
	return bytes.Clone(output), nil
}

func (m *Module) main(ctx context.Context, stdin []byte, args []string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	stdout := &output{max: m.cfg.MaxOutput}
	i, err := m.startInstance(m.newCall(ctx, start), &program{args: append([]string{m.cfg.Name}, args...), stdin: stdin, stdout: stdout})
	if err != nil {
		return nil, err
	}
	i.spoiled = true
	defer m.give(i)
	if _, err = i.invoke(start); err != nil {
		var exit *pool.CrashError
		if !errors.As(err, &exit) || exit.ExitCode != 0 {
			return nil, err
		}
	}
	return stdout.bytes, nil
}

func (m *Module) checkCall(function string, args int) error {
	f, ok := m.exports[function]
	if !ok {
		return m.unknown(function)
	}
	if !numbers(f.ParamTypes()) || !numbers(f.ResultTypes()) {
		return m.fault(fmt.Errorf("%w call: %s is %s; only numbers can be given and returned", penstock.ErrInvalid, function, signature(f)))
	}
	if n := len(f.ParamTypes()); n != args {
		return m.fault(fmt.Errorf("%w call: %s is %s; it takes %d arguments, and is given %d", penstock.ErrInvalid, function, signature(f), n, args))
	}
	return nil
}

func (m *Module) checkBytes(function string, input []byte) error {
	if err := m.checkType(alloc, []api.ValueType{i32}, []api.ValueType{i32}); err != nil {
		return err
	}
	if err := m.checkType(function, []api.ValueType{i32, i32}, []api.ValueType{i64}); err != nil {
		return err
	}
	if !m.memory.Has {
		return m.fault(fmt.Errorf("%w call: it has no memory, where bytes could be", penstock.ErrInvalid))
	}
	return m.checkInput(len(input))
}

func (m *Module) checkMain(stdin []byte, args []string) error {
	if err := m.checkType(start, nil, nil); err != nil {
		return fmt.Errorf("%w: it is no command", err)
	}
	length := len(stdin)
	for _, arg := range args {
		if strings.ContainsRune(arg, 0) {
			return m.fault(fmt.Errorf("%w call: argument %.64q has a zero byte", penstock.ErrInvalid, arg))
		}
		length += len(arg)
	}
	return m.checkInput(length)
}

func (m *Module) checkInput(length int) error {
	if length > m.cfg.MaxInput {
		return m.fault(fmt.Errorf("%w call: its input has %d bytes; it may have %d", penstock.ErrInvalid, length, m.cfg.MaxInput))
	}
	return nil
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func (m *Module) checkType(function string, params, results []api.ValueType) error {
	f, ok := m.exports[function]
	if !ok {
		return m.unknown(function)
	}
	if !slices.Equal(f.ParamTypes(), params) || !slices.Equal(f.ResultTypes(), results) {
		return m.fault(fmt.Errorf("%w call: %s is %s; it has to be %s", penstock.ErrInvalid, function, signature(f), typeList(params)+" → "+typeList(results)))
	}
	return nil
}

func (m *Module) unknown(function string) error {
	const most = 16
	names := slices.Sorted(maps.Keys(m.exports))
	list := strings.Join(names[:min(len(names), most)], ", ")
	switch {
	case len(names) > most:
		list += ", …"
	case len(names) == 0:
		list = "none"
	}
	return m.fault(fmt.Errorf("%w call: it exports no function %.64q; those that it exports: %s", penstock.ErrInvalid, function, list))
}

func numbers(types []api.ValueType) bool {
	for _, t := range types {
		switch t {
		case i32, i64, api.ValueTypeF32, api.ValueTypeF64:
		default:
			return false
		}
	}
	return true
}

// deepen has the goroutine's stack grow to what wazero needs while there is little on it to be moved. Otherwise it grows in
// the middle of each call that a pool gives a new goroutine to, which takes as long as all the rest.
//
//go:noinline
func deepen() {
	var room [4 << 10]byte
	runtime.KeepAlive(&room)
}
