package accesslog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const good = `192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1`

// readAll returns the clients that r names, its malformed lines, and the error that ended it.
func readAll(r *Reader) (clients []string, malformed []*LineError, err error) {
	for {
		e, err := r.Next()
		var bad *LineError
		switch {
		case errors.As(err, &bad):
			malformed = append(malformed, bad)
		case err != nil:
			return clients, malformed, err
		default:
			clients = append(clients, e.Client)
		}
	}
}

func zipped(t *testing.T, texts ...string) []byte {
	var b bytes.Buffer
	for _, text := range texts { // one member each, as `cat a.gz b.gz` makes
		z := gzip.NewWriter(&b)
		_, err := io.WriteString(z, text)
		require.NoError(t, err)
		require.NoError(t, z.Close())
	}
	return b.Bytes()
}

func TestReaderSources(t *testing.T) {
	second := strings.Replace(good, "192.0.2.1", "192.0.2.2", 1)
	both := []string{"192.0.2.1", "192.0.2.2"}
	for name, c := range map[string]struct {
		src  []byte
		want []string
	}{
		"plain":            {[]byte(good + "\n" + second + "\n"), both},
		"CRLF":             {[]byte(good + "\r\n" + second + "\r\n"), both},
		"no last line end": {[]byte(good + "\n" + second), both},
		"empty lines":      {[]byte("\n\r\n" + good + "\n\n" + second + "\n\n"), both},
		"gzip":             {zipped(t, good+"\n"+second+"\n"), both},
		"gzip of two":      {zipped(t, good+"\n", second+"\n"), both},
		"empty":            {nil, nil},
		"empty gzip":       {zipped(t, ""), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(iotest.OneByteReader(bytes.NewReader(c.src)))
			require.NoError(t, err)
			clients, malformed, err := readAll(r)
			assert.ErrorIs(t, err, io.EOF)
			assert.Empty(t, malformed)
			assert.Equal(t, c.want, clients)
		})
	}
}

func TestReaderMalformedLinesAreSteppedOver(t *testing.T) {
	long := "192.0.2.9 - - " + strings.Repeat("x", 3*MaxLine)
	r, err := NewReader(strings.NewReader("# a comment\n" + good + "\n" + long + "\n\n" + good + "\nlast"))
	require.NoError(t, err)
	clients, malformed, err := readAll(r)
	assert.ErrorIs(t, err, io.EOF)
	assert.Equal(t, []string{"192.0.2.1", "192.0.2.1"}, clients)
	require.Len(t, malformed, 3)
	assert.Equal(t, 1, malformed[0].Line)
	assert.Equal(t, "# a comment", malformed[0].Text)
	assert.Equal(t, 3, malformed[1].Line)
	assert.ErrorContains(t, malformed[1], "longer than 65536 bytes")
	assert.Len(t, malformed[1].Text, shown)
	assert.Equal(t, 6, malformed[2].Line, "empty lines count too, so that an editor finds the line")
}

func TestReaderLongestLine(t *testing.T) {
	for extra, malformed := range []int{0, 1} {
		line := good + ` "` + strings.Repeat("x", MaxLine-1-len(good)-3+extra) + `"`
		r, err := NewReader(strings.NewReader(line + "\n" + good))
		require.NoError(t, err)
		clients, bad, err := readAll(r)
		assert.ErrorIs(t, err, io.EOF)
		assert.Len(t, bad, malformed)
		assert.Len(t, clients, 2-malformed)
	}
}

func TestReaderEndlessLineTakesNoMemory(t *testing.T) {
	endless := io.LimitReader(zeroes{}, 1<<30)
	r, err := NewReader(endless)
	require.NoError(t, err)
	allocs := testing.AllocsPerRun(1, func() { _, _, err = readAll(r) })
	assert.ErrorIs(t, err, io.EOF)
	assert.Less(t, allocs, 20.0)
}

// zeroes is a source that never ends a line.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestReaderDamagedSources(t *testing.T) {
	whole := zipped(t, strings.Repeat(good+"\n", 100))
	r, err := NewReader(bytes.NewReader(whole[:len(whole)-6]))
	require.NoError(t, err)
	_, _, err = readAll(r)
	assert.EqualError(t, err, "gzip: unexpected EOF")

	_, err = NewReader(bytes.NewReader([]byte{0x1f, 0x8b, 0xff}))
	assert.ErrorContains(t, err, "gzip: ")

	boom := errors.New("boom")
	_, err = NewReader(iotest.ErrReader(boom))
	assert.ErrorIs(t, err, boom)
	r, err = NewReader(io.MultiReader(strings.NewReader(good+"\n"), iotest.ErrReader(boom)))
	require.NoError(t, err)
	clients, _, err := readAll(r)
	assert.ErrorIs(t, err, boom)
	assert.Len(t, clients, 1)
}
