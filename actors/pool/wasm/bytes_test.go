package wasm

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/pool"
)

// answering is a guest by the convention of bytes: its alloc returns at, and its function what packed leaves on the stack.
func answering(at int, packed ...any) guest {
	return guest{
		memory: []uint32{1, 1},
		funcs: []fn{
			{name: "alloc", params: "i", results: "i", code: code(at)},
			{name: "render", params: "ii", results: "l", code: code(packed...)},
		},
		data: "from the guest\xff",
	}
}

// echo answers with its input.
func echo() guest {
	return answering(1024, get(0), extend, long(32), shiftLeft, get(1), extend, or)
}

func TestBytesGoInAndOut(t *testing.T) {
	m := compile(t, echo(), Config{})
	for _, input := range []string{"", "x", "some bytes", string(make([]byte, 10_000))} {
		got, err := m.Bytes("render", []byte(input))(context.Background())
		require.NoError(t, err)
		assert.Equal(t, input, string(got))
	}
	first, err := m.Bytes("render", []byte("first"))(context.Background())
	require.NoError(t, err)
	_, err = m.Bytes("render", []byte("other"))(context.Background())
	require.NoError(t, err)
	assert.Equal(t, "first", string(first), "the output is the caller's")
}

func TestAGuestsErrorIsTold(t *testing.T) {
	m := compile(t, answering(1024, long(failed|15)), Config{Name: "guest"})
	_, err := m.Bytes("render", []byte("input"))(context.Background())
	var said *GuestError
	require.ErrorAs(t, err, &said)
	assert.Equal(t, GuestError{Module: "guest", Function: "render", Text: "from the guest\uFFFD"}, *said)
	assert.ErrorContains(t, err, `wasm module "guest": render: from the guest`)
	assert.Equal(t, 1, m.Info().Idle, "its instance is as good as before")
}

func TestP7_AnAnswerThatCannotBeUsedIsTold(t *testing.T) {
	for says, g := range map[string]guest{
		"alloc(5) returned 65532, and its memory has 65536 bytes":                answering(65532, long(0)),
		"alloc(5) returned 4294967295, and its memory has 65536 bytes":           answering(-1, long(0)),
		"it has 101 bytes; it may have 100":                                      answering(8, long(101)),
		"it has 2147483647 bytes; it may have 100":                               answering(8, long(1<<32-1)),
		"it is said to be 100 bytes at 65437, and its memory has 65536 bytes":    answering(8, long(65437<<32|100)),
		"it is said to be 1 bytes at 4294967295, and its memory has 65536 bytes": answering(8, long(-1<<32|1)),
	} {
		m := compile(t, g, Config{MaxOutput: 100})
		_, err := m.Bytes("render", []byte("input"))(context.Background())
		var answer *AnswerError
		require.ErrorAs(t, err, &answer, says)
		assert.Equal(t, says, answer.Why)
		assert.Zero(t, m.Info().Idle, "its instance is not trusted any more")
	}
	m := compile(t, answering(0, long(0)), Config{})
	_, err := m.Bytes("render", []byte("input"))(context.Background())
	var memory *pool.MemoryError
	require.ErrorAs(t, err, &memory)
	assert.Contains(t, memory.Detail, "alloc(5) returned 0")
}
