// Package meter rewrites a WebAssembly module so that its host can stop it anywhere, and bound its call stack and its tables.
//
// A metered module pays for what it runs, and calls its host's [Pause] each time that it has used a slice up: the time for
// 65,536 bytes of its code, some ten microseconds. It pays when it enters a function, for the function's code and frame;
// each time that it goes round a loop, for the loop's code; and before it fills or copies memory or a table, for each 64
// bytes or entries. So there is no way around a pause, neither by recursion nor by straight code, and a host that panics
// in it has stopped the module. Around each call the module adds the caller's frame to the size of its stack, an estimate,
// which Pause is told. Tables keep the size that they begin with, and how large the memory may be is left to the host.
//
// What is added is a type, an import, two globals and in each function a local, each as the last of its kind, so that of
// all numbers only those of functions move, by one. The instructions are those of WebAssembly 2.0. Whether a module is
// valid is left to whoever compiles the result. Meter refuses what it cannot read, what would reach what it adds, and what says
// that it has more than it can have: wazero allocates what is said, and some twenty bytes could end the process.
package meter

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// What a metered module imports: a function that takes the size of its stack in bytes, as an i32.
const (
	Host  = "penstock"
	Pause = "pause"
)

const (
	slice      = 1 << 16 // what is used up between two pauses
	maxEntries = 1 << 20 // of all tables together: 8 MiB of the host's memory, which the memory's cap does not count
)

// Metered is a module, and what its host has to know of it.
type Metered struct {
	Code   []byte
	Memory Memory
}

// Memory is what a module says of its memory. In bytes; 0 if it has none.
type Memory struct {
	Has   bool
	Least int64 // that it begins with
	Most  int64 // that it may have
}

// The sections' numbers.
const (
	customSection = iota
	typeSection
	importSection
	functionSection
	tableSection
	memorySection
	globalSection
	exportSection
	startSection
	elementSection
	codeSection
	dataSection
	dataCountSection

	sections
)

var sectionOrder = [...]byte{
	typeSection, importSection, functionSection, tableSection, memorySection, globalSection, exportSection, startSection,
	elementSection, dataCountSection, codeSection, dataSection,
}

var sectionNames = [sections]string{
	"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count",
}

// module is a module while it is read.
type module struct {
	sections [sections][]byte // nil if it has none
	names    []byte           // of the custom section "name"

	params   []int    // of each type, how many
	funcs    []uint32 // of each function, its type; first those that are imported
	imported uint32   // how many those are
	globals  uint32   // how many there are; none is imported
	locals   uint64   // how many there are, in all functions
	mem      Memory
}

// Meter rewrites a module. Its custom sections, but for the functions' names, are left out.
func Meter(wasm []byte) (Metered, error) {
	m := &module{}
	if err := m.split(wasm); err != nil {
		return Metered{}, err
	}
	out := append(make([]byte, 0, len(wasm)*3/2+128), wasm[:8]...)
	for _, id := range sectionOrder {
		section, err := m.rewrite(id)
		if err != nil {
			return Metered{}, fmt.Errorf("%s section: %w", sectionNames[id], err)
		}
		if section != nil {
			out = appendSized(append(out, id), section)
		}
	}
	if names := m.rename(); names != nil {
		out = appendSized(append(out, customSection), append([]byte("\x04name"), names...))
	}
	return Metered{Code: out, Memory: m.mem}, nil
}

// split finds the sections, which have an order.
func (m *module) split(wasm []byte) error {
	r := &reader{b: wasm}
	if string(r.take(8)) != "\x00asm\x01\x00\x00\x00" {
		return errors.New(`it does not begin with "\x00asm" and version 1, as a WebAssembly module does`)
	}
	next := 0
	for r.more() {
		id := r.byte()
		section := r.sized()
		if r.err != nil {
			return fmt.Errorf("section %d: %w", id, r.err)
		}
		if id == customSection {
			c := &reader{b: section}
			if name := c.sized(); c.err != nil || !utf8.Valid(name) {
				return errors.New("a custom section has no name")
			} else if string(name) == "name" && m.names == nil {
				m.names = section[c.at:]
			}
			continue
		}
		for next < len(sectionOrder) && sectionOrder[next] != id {
			next++
		}
		if next == len(sectionOrder) {
			return fmt.Errorf("section %d is unknown, or not in its place", id)
		}
		next++
		m.sections[id] = section
	}
	return nil
}

func (m *module) rewrite(id byte) ([]byte, error) {
	w := &rewriter{reader: reader{b: m.sections[id]}}
	if w.b == nil {
		if id != typeSection && id != importSection && id != globalSection {
			return nil, nil
		}
		w.b = []byte{0} // to which something is added
	}
	switch id {
	case typeSection:
		m.types(w)
	case importSection:
		m.imports(w)
	case functionSection:
		w.each(func() { m.funcs = append(m.funcs, w.u32()) })
	case tableSection:
		m.tables(w)
	case memorySection:
		m.memory(w)
	case globalSection:
		m.addGlobals(w)
	case exportSection:
		m.exports(w)
	case startSection:
		m.function(w)
	case elementSection:
		w.each(func() { m.element(w) })
	case codeSection:
		m.code(w)
	case dataCountSection:
		w.u32()
	case dataSection:
		w.each(func() { m.data(w) })
	}
	return w.rest()
}

// function reads the number of a function and writes what it is now.
func (m *module) function(w *rewriter) {
	w.keep(w.at)
	i := w.u32()
	if i >= uint32(len(m.funcs)) {
		w.fail("there is no function %d", i)
	}
	w.out = appendU32(w.out, m.moved(i))
	w.drop()
}

// moved is the number of a function behind the import that was added.
func (m *module) moved(i uint32) uint32 {
	if i < m.imported {
		return i
	}
	return i + 1
}
