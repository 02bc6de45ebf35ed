// Command renderer renders templates that users wrote, with names and values that users gave. It is a reactor: its host
// calls alloc and render, by the convention of package wasm.
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared
package main

import (
	"bytes"
	"strings"
	"text/template"
	"unsafe"
)

// kept keeps the input and the output where the host can find them, until the next call.
var kept struct {
	input  []byte
	output bytes.Buffer
}

//go:wasmexport alloc
func alloc(length uint32) unsafe.Pointer {
	kept.input = make([]byte, length)
	return unsafe.Pointer(unsafe.SliceData(kept.input))
}

// render takes a template, a line of three dashes, and lines of name=value.
//
//go:wasmexport render
func render(_ unsafe.Pointer, _ uint32) uint64 {
	text, lines, _ := strings.Cut(string(kept.input), "\n---\n")
	values := map[string]string{}
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	kept.output.Reset()
	t, err := template.New("template").Parse(text)
	if err == nil {
		err = t.Execute(&kept.output, values)
	}
	if err != nil {
		kept.output.Reset()
		kept.output.WriteString(err.Error())
		return answer() | 1<<31
	}
	return answer()
}

func answer() uint64 {
	b := kept.output.Bytes()
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))<<32 | uint64(len(b))
}

func main() {}
