package meter

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// small is a module of two types, () and (i32) → (i32), an import "env" "f" of the first, a memory of a page, and functions
// 1 and 2 of the second, of which 1 is exported as "f" and has this code.
func small(code ...byte) []byte {
	return slices.Concat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		[]byte("\x01\x09\x02\x60\x00\x00\x60\x01\x7f\x01\x7f"),
		[]byte("\x02\x09\x01\x03env\x01f\x00\x00"),
		[]byte("\x03\x03\x02\x01\x01"),
		[]byte("\x05\x03\x01\x00\x01"),
		[]byte("\x07\x05\x01\x01f\x00\x01"),
		appendSized([]byte{codeSection}, slices.Concat([]byte{2}, function(code...), function(opLocalGet, 0))),
	)
}

func function(code ...byte) []byte {
	return appendSized(nil, slices.Concat([]byte{0}, code, []byte{opEnd}))
}

// with has a section of the module be another one, or be there.
func with(id byte, content string, module []byte) []byte {
	r := &reader{b: module, at: 8}
	begin, end := r.at, r.at
	for r.more() && r.b[r.at] <= id {
		if begin = r.at; r.byte() < id {
			r.sized()
			begin = r.at
		} else {
			r.sized()
		}
		end = r.at
	}
	return slices.Replace(slices.Clone(module), begin, end, appendSized([]byte{id}, []byte(content))...)
}

func TestWhatIsAddedCannotBeReached(t *testing.T) {
	plain := small(opLocalGet, 0)
	_, err := Meter(plain)
	require.NoError(t, err)
	for says, module := range map[string][]byte{
		"code section: function 1: there is no global 0":   small(opGlobalGet, 0),
		"code section: function 1: there is no global 1":   small(opLocalGet, 0, opGlobalSet, 1, opLocalGet, 0),
		"code section: function 1: there is no local 1":    small(opLocalGet, 1),
		"code section: function 1: there is no function 3": small(opCall, 3, opLocalGet, 0),
		"code section: function 1: there is no function 4": small(opRefFunc, 4, 0x1a, opLocalGet, 0),
		"global section: there is no function 3":           with(globalSection, "\x01\x70\x00\xd2\x03\x0b", plain),
		"export section: there is no global 0":             with(exportSection, "\x01\x01f\x03\x00", plain),
		"start section: there is no function 3":            with(startSection, "\x03", plain),
		"element section: there is no function 3":          with(elementSection, "\x01\x01\x00\x01\x03", plain),
	} {
		_, err := Meter(module)
		assert.EqualError(t, err, says)
	}
}

func TestWhatIsNotWebAssembly2IsRefused(t *testing.T) {
	plain := small(opLocalGet, 0)
	for says, module := range map[string][]byte{
		"there is no instruction 0x12 in WebAssembly 2.0":                       small(0x12, 0),       // return_call
		"there is no instruction 0x6 in WebAssembly 2.0":                        small(0x06, 0x40),    // try
		"there is no instruction 0xfe in WebAssembly 2.0":                       small(0xfe, 0),       // atomics
		"there is no instruction 0xfc 18 in WebAssembly 2.0":                    small(opBulk, 18),    //
		"there is no instruction 0xfd 256 in WebAssembly 2.0":                   small(0xfd, 0x80, 2), // relaxed vectors
		"a memory argument begins with 64":                                      small(opLocalGet, 0, 0x28, 0x40, 0, 0),
		"section 14 is unknown, or not in its place":                            append(slices.Clone(plain), 14, 0),
		"section 1 is unknown, or not in its place":                             append(slices.Clone(plain), 1, 1, 0),
		"it has 2 memories":                                                     with(memorySection, "\x02\x00\x01\x00\x01", plain),
		"its memory's limits begin with 0x3; shared memory is not":              with(memorySection, "\x01\x03\x01\x01", plain),
		"it has the code of 2 functions; there are 1":                           with(functionSection, "\x01\x01", plain),
		"function 1 is of type 2, which there is not":                           with(functionSection, "\x02\x02\x01", plain),
		"it has more than 50000 locals":                                         locals(50_000),
		"code section: function 1: there is more in it than it says":            small(opLocalGet, 0, opEnd, 0),
		"code section: function 1: it ends too early":                           small(0x02, 0x40),
		"code section: there is more in it than it says":                        with(codeSection, "\x02\x04\x00\x20\x00\x0b\x04\x00\x20\x00\x0b\x00", plain),
		"type section: type 0 begins with 0x5f; a function's begins with 0x60":  with(typeSection, "\x01\x5f", plain),
		"data section: it ends too early":                                       with(dataSection, "\xd3\xd3\xd3\xe8\x03\x01\x00", plain), // 1,024,076,243 segments
		"data section: a data segment has the flags 0x3":                        with(dataSection, "\x01\x03\x00", plain),
		"a custom section has no name":                                          append(slices.Clone(plain), 0, 0),
		"import section: it imports a global, env.f; only functions can be giv": with(importSection, "\x01\x03env\x01f\x03\x7f\x00", plain),
	} {
		_, err := Meter(module)
		assert.ErrorContains(t, err, says)
	}
	many := []byte{100}
	for range 100 {
		many = append(many, appendSized(nil, slices.Concat([]byte{1}, appendU32(nil, 49_000), []byte{i32Type, opLocalGet, 0, opEnd}))...)
	}
	_, err := Meter(with(functionSection, "\x64"+string(slices.Repeat([]byte{1}, 100)), with(codeSection, string(many), plain)))
	assert.ErrorContains(t, err, "all functions together have more than 1048576 locals")
	m, err := Meter(locals(49_998))
	require.NoError(t, err)
	assert.NotEmpty(t, m.Code)
}

// locals has a function with a parameter and as many other locals.
func locals(n uint32) []byte {
	f := slices.Concat([]byte{1}, appendU32(nil, n), []byte{i32Type, opLocalGet, 0, opEnd})
	return with(codeSection, string(append(appendSized([]byte{2}, f), function(opLocalGet, 0)...)), small())
}

// pauses runs function f of a metered module, and returns the stacks that its pauses were told of.
func pauses(t *testing.T, module []byte, arg uint64) (stacks []uint32) {
	t.Helper()
	m, err := Meter(module)
	require.NoError(t, err)
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	_, err = r.NewHostModuleBuilder(Host).NewFunctionBuilder().
		WithFunc(func(stack uint32) { stacks = append(stacks, stack) }).Export(Pause).Instantiate(ctx)
	require.NoError(t, err)
	_, err = r.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(func() {}).Export("f").Instantiate(ctx)
	require.NoError(t, err)
	instance, err := r.Instantiate(ctx, m.Code)
	require.NoError(t, err)
	_, err = instance.ExportedFunction("f").Call(ctx, arg)
	require.NoError(t, err)
	return stacks
}

func TestThePriceOfALoopIsItsCode(t *testing.T) {
	const turns = 100_000
	code := []byte{opLoop, emptyType, opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, 0x0d, 0, opEnd, opLocalGet, 0}
	const price = 10 // bytes from behind the loop's type to behind its end
	assert.Len(t, pauses(t, small(code...), turns), turns/(slice/price+1))
	assert.Empty(t, pauses(t, small(code...), 1000))
}

func TestThePriceOfACallIsItsCodeAndFrame(t *testing.T) {
	recurse := []byte{opLocalGet, 0, opIf, i32Type, opLocalGet, 0, opI32Const, 1, opI32Sub, opCall, 1, 0x05, opI32Const, 0, opEnd}
	const depth = 10_000
	stacks := pauses(t, small(recurse...), depth)
	const frame, price = 32 + 8, 40 + 17
	assert.InDelta(t, depth*price/slice, len(stacks), 1)
	assert.True(t, slices.IsSorted(stacks), "the stack grows")
	for n, stack := range stacks {
		assert.Zero(t, stack%frame)
		assert.InDelta(t, (n+1)*slice/price*frame, stack, 3*frame)
	}
}

func TestACallThatIsOverIsOffTheStack(t *testing.T) {
	const turns = 10_000
	loop := func(call ...byte) []byte {
		return small(slices.Concat([]byte{opLoop, emptyType, opI32Const, 0}, call, []byte{0x1a},
			[]byte{opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, 0x0d, 0, opEnd, opLocalGet, 0})...)
	}
	indirect := with(elementSection, "\x01\x00\x41\x00\x0b\x01\x02", // function 2, at 0
		with(tableSection, "\x01\x70\x00\x01", loop(opI32Const, 0, opCallIndirect, 1, 0)))
	for _, module := range [][]byte{loop(opCall, 2), indirect} {
		const frame = 32 + 8
		stacks := pauses(t, module, turns)
		require.NotEmpty(t, stacks)
		assert.LessOrEqual(t, slices.Max(stacks), uint32(frame))
	}
}

func TestThePriceOfFillingMemoryIsWhatItFills(t *testing.T) {
	turns := []byte{ // fills the page as often as it is told
		opLoop, emptyType, opI32Const, 0, opI32Const, 7, opI32Const, 0x80, 0x80, 4, opBulk, 11, 0,
		opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, 0x0d, 0, opEnd, opLocalGet, 0,
	}
	assert.InDelta(t, 640*(1024+21)/slice, len(pauses(t, small(turns...), 640)), 1)
}

func TestNamesOfFunctionsAreKept(t *testing.T) {
	names := func(functions string) []byte {
		section := append([]byte("\x04name\x00\x02\x01m"), appendSized([]byte{1}, []byte(functions))...)
		section = append(section, "\x02\x03\x00\x00\x00"...) // of locals
		return append(small(0x00), appendSized([]byte{customSection}, section)...)
	}
	compiled := func(module []byte) map[string]api.FunctionDefinition {
		m, err := Meter(module)
		require.NoError(t, err)
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		defer r.Close(ctx)
		c, err := r.CompileModule(ctx, m.Code)
		require.NoError(t, err)
		return c.ExportedFunctions()
	}
	assert.Equal(t, "one", compiled(names("\x02\x00\x04zero\x01\x03one"))["f"].Name())
	assert.Empty(t, compiled(names("\x09bad"))["f"].Name(), "names that cannot be read are no reason to refuse a module")
}

// FuzzMeter has modules of all kinds refused by both or accepted by both, wazero as they are and metered.
func FuzzMeter(f *testing.F) {
	f.Add(small(opLocalGet, 0))
	f.Add(small(opCall, 0, opLocalGet, 0, opCall, 1))
	f.Add(small(opLoop, emptyType, 0x0c, 0, opEnd, opLocalGet, 0))
	f.Add(locals(3))
	f.Add(with(dataSection, "\x01\x00\x41\x00\x0b\x04text", small(opLocalGet, 0)))
	f.Add(with(elementSection, "\x01\x00\x41\x00\x0b\x01\x01", with(tableSection, "\x01\x70\x00\x01", small(opLocalGet, 0))))
	ctx := context.Background()
	valid := func(module []byte) bool {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithDebugInfoEnabled(false))
		defer r.Close(ctx)
		_, err := r.CompileModule(ctx, module)
		return err == nil
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := Meter(module)
		if err == nil && valid(module) && !valid(m.Code) {
			t.Errorf("a module that was valid is not: %x", m.Code)
		}
	})
}
