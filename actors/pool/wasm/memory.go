package wasm

import "github.com/tetratelabs/wazero/experimental"

// memory is an instance's memory: it grows up to a limit, which each call may set anew.
type memory struct {
	limit   uint64 // in bytes, of whole pages
	bytes   []byte
	refused bool // the latest growth was refused, so that what went wrong after it went wrong for want of memory
}

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

// Allocate implements experimental.MemoryAllocator. An instance has one memory at most.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory. The host's memory is taken twice as much at a time, and never more than
// the limit, so that growing by pages is not quadratic.
func (m *memory) Reallocate(size uint64) []byte {
	if m.refused = size > m.limit; m.refused {
		return nil
	}
	if size > uint64(cap(m.bytes)) {
		grown := make([]byte, size, min(max(size, 2*uint64(cap(m.bytes))), m.limit))
		copy(grown, m.bytes)
		m.bytes = grown
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// Free implements experimental.LinearMemory.
func (m *memory) Free() { m.bytes = nil }
