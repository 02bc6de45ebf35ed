package proc

import (
	"bytes"
	"io"
	"sync"
)

// Tail keeps the end of what a process writes to its standard error, and notes whether a Go runtime wrote, anywhere in it,
// that it was refused memory. It is safe for concurrent use.
type Tail struct {
	mu      sync.Mutex
	kept    []byte
	max     int
	refused bool
}

// NewTail keeps at most so many bytes, which are more than any of the marks has.
func NewTail(limit int) *Tail { return &Tail{max: limit} }

// marks are what the Go runtime, its cgo part and its race detector write when they are refused memory.
var marks = [][]byte{
	[]byte("runtime: out of memory"), []byte("fatal error: out of memory"), []byte("runtime: cannot allocate memory"),
	[]byte("runtime.(*spanQueue)"), // which the collector of Go 1.26 does not check for nil before it uses it
	[]byte("failed to create new OS thread"), []byte("pthread_create failed"), []byte("ThreadSanitizer failed to allocate"),
}

func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	for _, mark := range marks { // before the beginning is cut off; a mark may have come in two pieces
		t.refused = t.refused || bytes.Contains(t.kept, mark)
	}
	if over := len(t.kept) - t.max; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// Refused reports whether a Go runtime wrote that it was refused memory.
func (t *Tail) Refused() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// Bounded keeps what is written to it up to a bound, and calls Over, once, when there is more.
type Bounded struct {
	Max  int
	Over func()
	kept []byte
	over bool
}

func (b *Bounded) Write(p []byte) (int, error) {
	if b.over || len(b.kept)+len(p) > b.Max {
		if !b.over {
			b.over = true
			b.Over()
		}
		return 0, io.ErrShortWrite
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}

// Bytes is what was kept, and whether that is all. Ask when nobody writes any more.
func (b *Bounded) Bytes() (kept []byte, whole bool) { return b.kept, !b.over }
