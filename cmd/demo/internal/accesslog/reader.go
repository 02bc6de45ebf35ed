package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds a line in bytes, so that a file without line ends cannot fill the memory.
const MaxLine = 64 << 10

// shown is how much of a malformed line an error quotes, in bytes.
const shown = 120

// LineError tells of one malformed line. The reader has already stepped over it.
type LineError struct {
	Line int    // counted from 1
	Text string // its start, at most 120 bytes
	Err  error  // what is wrong with it
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v: %q", e.Line, e.Err, e.Text) }
func (e *LineError) Unwrap() error { return e.Err }

// Reader streams the entries of an access log. It holds one line at a time.
type Reader struct {
	src  *bufio.Reader
	line int
}

// NewReader reads src, which may be gzip: that is told by its first bytes, never by a name.
func NewReader(src io.Reader) (*Reader, error) {
	buffered := bufio.NewReaderSize(src, MaxLine)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return &Reader{src: buffered}, nil
	}
	unzipped, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return &Reader{src: bufio.NewReaderSize(gzipErrors{unzipped}, MaxLine)}, nil
}

// Next returns the next entry, io.EOF at the end, a *LineError for a malformed line (the next call goes on behind it), or
// the source's error, after which nothing more comes. Empty lines are skipped.
func (r *Reader) Next() (Entry, error) {
	for {
		text, long, err := r.readLine()
		if err != nil {
			return Entry{}, err
		}
		r.line++
		if long {
			return Entry{}, r.malformed(text, fmt.Errorf("longer than %d bytes", MaxLine))
		}
		if len(text) == 0 {
			continue
		}
		entry, err := ParseLine(text)
		if err != nil {
			return Entry{}, r.malformed(text, err)
		}
		return entry, nil
	}
}

// readLine returns the next line without its ending, LF or CRLF; the last one needs none. Of a line that is too long it
// returns the start. The text is valid until the next read.
func (r *Reader) readLine() (text []byte, long bool, err error) {
	text, err = r.src.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text = bytes.Clone(text[:shown])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.src.ReadSlice('\n')
		}
		long = true
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
		return nil, false, err
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	return bytes.TrimSuffix(text, []byte("\r")), long, nil
}

func (r *Reader) malformed(text []byte, err error) error {
	return &LineError{Line: r.line, Text: string(text[:min(len(text), shown)]), Err: err}
}

// gzipErrors says which layer an error comes from: a bare "unexpected EOF" would not.
type gzipErrors struct{ r io.Reader }

func (g gzipErrors) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("gzip: %w", err)
	}
	return n, err
}
