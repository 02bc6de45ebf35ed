package pool

import "fmt"

// Tier is what keeps a task apart from the rest of the process, from the weakest to the strongest.
type Tier uint8

const (
	Goroutine Tier = iota // nothing but a recover and a context: Go can neither kill nor cap a goroutine
	Wasm                  // a WebAssembly module: memory capped, stopped in the middle of a loop. See package wasm
	Process               // a child process: memory capped, killed with its process group. See [Register] and [Command]
)

// String returns "goroutine", "wasm" or "process".
func (t Tier) String() string {
	switch t {
	case Goroutine:
		return "goroutine"
	case Wasm:
		return "wasm"
	case Process:
		return "process"
	}
	return fmt.Sprintf("Tier(%d)", uint8(t))
}
