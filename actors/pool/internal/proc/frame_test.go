package proc

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFramesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pipe bytes.Buffer
		payloads := rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 1, 5).Draw(t, "payloads")
		for i, p := range payloads {
			require.NoError(t, WriteFrame(&pipe, byte(i), p))
		}
		r := iotest.OneByteReader(&pipe)
		for i, p := range payloads {
			kind, got, err := ReadFrame(r, 1000)
			require.NoError(t, err)
			require.Equal(t, byte(i), kind)
			require.True(t, bytes.Equal(p, got))
		}
		_, _, err := ReadFrame(r, 1000)
		require.Equal(t, io.EOF, err, "between frames")
	})
}

func TestBadFramesAreErrors(t *testing.T) {
	var whole bytes.Buffer
	require.NoError(t, WriteFrame(&whole, 'x', []byte("payload")))
	for n := 1; n < whole.Len(); n++ {
		_, _, err := ReadFrame(bytes.NewReader(whole.Bytes()[:n]), 100)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	_, _, err := ReadFrame(strings.NewReader("hello"), 100)
	require.ErrorIs(t, err, ErrGarbage)
	_, _, err = ReadFrame(bytes.NewReader(whole.Bytes()), 6)
	var long *TooLongError
	require.ErrorAs(t, err, &long)
	require.Equal(t, TooLongError{Length: 7, Max: 6}, *long)
	_, _, err = ReadFrame(bytes.NewReader([]byte{magic, 0, 255, 255, 255, 255}), 100)
	require.ErrorAs(t, err, &long, "and nothing of that size is made")
}

func TestTheTailIsKept(t *testing.T) {
	tail := NewTail(64)
	for range 100 {
		_, err := tail.Write([]byte("abcdefgh"))
		require.NoError(t, err)
	}
	require.Equal(t, strings.Repeat("abcdefgh", 8), tail.String())
	require.False(t, tail.Refused())
	for _, piece := range []string{"fatal error: runtime: cannot al", "locate memory\n"} {
		_, err := tail.Write([]byte(piece))
		require.NoError(t, err)
	}
	for range 100 { // the traceback that follows
		_, err := tail.Write([]byte("goroutine"))
		require.NoError(t, err)
	}
	require.True(t, tail.Refused(), "although that is long gone")
	require.True(t, Exit{Code: 2}.OutOfMemory(tail))
	require.False(t, Exit{Code: 0}.OutOfMemory(tail))
}

func TestOutputIsBounded(t *testing.T) {
	over := 0
	b := &Bounded{Max: 5, Over: func() { over++ }}
	_, err := b.Write([]byte("12345"))
	require.NoError(t, err)
	kept, whole := b.Bytes()
	require.Equal(t, "12345", string(kept))
	require.True(t, whole)
	for range 2 {
		_, err = b.Write([]byte("6"))
		require.Error(t, err)
	}
	require.Equal(t, 1, over)
	_, whole = b.Bytes()
	require.False(t, whole)
}
