package wasm

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// guest is a small module, as a compiler would make it.
type guest struct {
	imports []imported
	memory  []uint32 // its first pages, and its most if there are two; none if it has no memory
	tables  []uint32 // entries of each
	funcs   []fn     // their numbers follow those of the imports
	entries []uint32 // of the first table, from 0
	data    string   // at 0
	start   int      // the function that is called first, if it is not 0
}

type imported struct{ module, name, params, results string }

// fn is a function. Types are letters: i is i32, l is i64, f is f32, d is f64.
type fn struct {
	name            string // "" is not exported
	params, results string
	locals          string // after the parameters
	code            []byte
}

// encode writes the module in the binary format.
func (g guest) encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, g.types()...)
	out = append(out, g.importSection()...)
	out = append(out, g.functions()...)
	out = append(out, g.tableSection()...)
	out = append(out, g.memorySection()...)
	out = append(out, g.exports()...)
	out = append(out, g.startSection()...)
	out = append(out, g.elements()...)
	out = append(out, g.code()...)
	return append(out, g.dataSection()...)
}

// types has one type for each import and each function, in their order.
func (g guest) types() []byte {
	var types [][]byte
	for _, i := range g.imports {
		types = append(types, functionType(i.params, i.results))
	}
	for _, f := range g.funcs {
		types = append(types, functionType(f.params, f.results))
	}
	return section(1, types)
}

func (g guest) importSection() []byte {
	var imports [][]byte
	for n, i := range g.imports {
		imports = append(imports, slices.Concat(text(i.module), text(i.name), []byte{0}, uleb(n)))
	}
	return section(2, imports)
}

func (g guest) functions() []byte {
	var funcs [][]byte
	for n := range g.funcs {
		funcs = append(funcs, uleb(len(g.imports)+n))
	}
	return section(3, funcs)
}

func (g guest) tableSection() []byte {
	var tables [][]byte
	for _, n := range g.tables {
		tables = append(tables, slices.Concat([]byte{0x70, 0}, uleb(n)))
	}
	return section(4, tables)
}

func (g guest) memorySection() []byte {
	switch len(g.memory) {
	case 1:
		return section(5, [][]byte{append([]byte{0}, uleb(g.memory[0])...)})
	case 2:
		return section(5, [][]byte{slices.Concat([]byte{1}, uleb(g.memory[0]), uleb(g.memory[1]))})
	}
	return nil
}

func (g guest) exports() []byte {
	var exports [][]byte
	if g.memory != nil {
		exports = append(exports, append(text("memory"), 2, 0))
	}
	for n, f := range g.funcs {
		if f.name != "" {
			exports = append(exports, slices.Concat(text(f.name), []byte{0}, uleb(len(g.imports)+n)))
		}
	}
	return section(7, exports)
}

func (g guest) startSection() []byte {
	if g.start == 0 {
		return nil
	}
	return slices.Concat([]byte{8, 1}, uleb(g.start))
}

func (g guest) elements() []byte {
	if g.entries == nil {
		return nil
	}
	e := slices.Concat([]byte{0}, number(0), []byte{0x0b}, uleb(len(g.entries)))
	for _, n := range g.entries {
		e = append(e, uleb(n)...)
	}
	return section(9, [][]byte{e})
}

func (g guest) code() []byte {
	var bodies [][]byte
	for _, f := range g.funcs {
		body := uleb(len(f.locals))
		for _, t := range f.locals {
			body = append(body, 1, letter(t))
		}
		body = slices.Concat(body, f.code, []byte{0x0b})
		bodies = append(bodies, append(uleb(len(body)), body...))
	}
	return section(10, bodies)
}

func (g guest) dataSection() []byte {
	if g.data == "" {
		return nil
	}
	return section(11, [][]byte{slices.Concat([]byte{0}, number(0), []byte{0x0b}, text(g.data))})
}

func section(id byte, items [][]byte) []byte {
	if len(items) == 0 {
		return nil
	}
	content := append(uleb(len(items)), slices.Concat(items...)...)
	return slices.Concat([]byte{id}, uleb(len(content)), content)
}

func functionType(params, results string) []byte {
	t := append([]byte{0x60}, uleb(len(params))...)
	for _, p := range params {
		t = append(t, letter(p))
	}
	t = append(t, uleb(len(results))...)
	for _, r := range results {
		t = append(t, letter(r))
	}
	return t
}

func letter(t rune) byte {
	return map[rune]byte{'i': 0x7f, 'l': 0x7e, 'f': 0x7d, 'd': 0x7c, 'v': 0x7b, 'r': 0x70}[t]
}

func text(s string) []byte { return append(uleb(len(s)), s...) }

func uleb[N int | uint32](n N) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func sleb(n int64) (b []byte) {
	for ; n < -64 || n >= 64; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n)&0x7f)
}

// Instructions. Those that take nothing are strings of bytes.
const (
	unreachable = "\x00"
	end         = "\x0b"
	drop        = "\x1a"
	add         = "\x6a"
	sub         = "\x6b"
	divide      = "\x6d"
	less        = "\x49" // unsigned
	equal       = "\x46"
	isZero      = "\x45"
	grow        = "\x40\x00"
	pages       = "\x3f\x00"
	load        = "\x28\x02\x00"
	store       = "\x36\x02\x00"
	fill        = "\xfc\x0b\x00"
	extend      = "\xad" // of an i32 to an i64, unsigned
	shiftLeft   = "\x86" // of an i64
	or          = "\x84" // of an i64
	block       = "\x02\x40"
	loop        = "\x03\x40"
	when        = "\x04\x40"
	otherwise   = "\x05"
)

func code(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case int:
			b = append(b, number(int64(p))...)
		}
	}
	return b
}

func number(n int64) []byte      { return append([]byte{0x41}, sleb(n)...) }
func long(n int64) []byte        { return append([]byte{0x42}, sleb(n)...) }
func get(local int) []byte       { return append([]byte{0x20}, uleb(local)...) }
func tee(local int) []byte       { return append([]byte{0x22}, uleb(local)...) }
func again(outward int) []byte   { return append([]byte{0x0c}, uleb(outward)...) } // br
func againIf(outward int) []byte { return append([]byte{0x0d}, uleb(outward)...) } // br_if
func do(function int) []byte     { return append([]byte{0x10}, uleb(function)...) }
func doAt(typ int) []byte        { return append(append([]byte{0x11}, uleb(typ)...), 0) } // call_indirect

// compile compiles a guest, and closes it at the end of the test.
func compile(t testing.TB, g guest, cfg Config) *Module {
	t.Helper()
	m, err := Compile(context.Background(), g.encode(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	return m
}
