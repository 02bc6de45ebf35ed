package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/penstock-go/penstock/cmd/demo/internal/accesslog"
)

// requestLog gives the requests of an access log to several goroutines, each to one of them.
type requestLog struct {
	name string
	size int64        // bytes, as they are in the file; 0: nobody knows
	read atomic.Int64 // of them
	src  io.ReadCloser

	mu        sync.Mutex
	lines     *bufio.Reader // nil until the first is taken
	count     *plainCount
	line      int
	malformed int
	quoted    []*accesslog.LineError // the first of them
	err       error                  // after which there is nothing more
}

func openRequestLog(ctx context.Context, path string, stdin io.Reader) (*requestLog, error) {
	name, src, err := openLog(ctx, path, stdin)
	if err != nil {
		return nil, err
	}
	l := &requestLog{name: name, src: src, count: newPlainCount()}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && path != "-" {
		l.size = info.Size()
	}
	return l, nil
}

// Read implements io.Reader: it counts the bytes.
func (l *requestLog) Read(p []byte) (int, error) {
	n, err := l.src.Read(p)
	l.read.Add(int64(n))
	return n, err
}

// take is a [taker]. A line that is no request is counted as malformed.
func (l *requestLog) take(into []request) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n < len(into) && l.err == nil {
		var r request
		var bad *accesslog.LineError
		switch r, l.err = l.next(); {
		case errors.As(l.err, &bad):
			l.err = nil
			l.malformed++
			if len(l.quoted) < shownMalformed {
				l.quoted = append(l.quoted, bad)
			}
		case l.err == nil:
			l.err = l.count.note(r)
			into[n] = r
			n++
		}
	}
	if l.err != nil && !errors.Is(l.err, io.EOF) {
		return n, fmt.Errorf("%s: %w", l.name, l.err)
	}
	return n, l.err
}

// next reads lines up to the next request.
func (l *requestLog) next() (request, error) {
	if l.lines == nil {
		if err := l.begin(); err != nil {
			return request{}, err
		}
	}
	for {
		l.line++
		line, err := l.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return request{}, l.skip(line)
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return request{}, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			continue
		}
		entry, err := accesslog.ParseLine(line)
		if err != nil {
			return request{}, l.bad(line, err)
		}
		return request{client: entry.Client, hit: hit{path: pathOf(requestLine(line)), status: entry.Status}}, nil
	}
}

// begin tells gzip by its first bytes.
func (l *requestLog) begin() error {
	l.lines = bufio.NewReaderSize(l, accesslog.MaxLine)
	if magic, _ := l.lines.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return nil // an error comes again with the first line
	}
	unzipped, err := gzip.NewReader(l.lines)
	if err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	l.lines = bufio.NewReaderSize(unzipped, accesslog.MaxLine)
	return nil
}

// skip steps over a line that is too long.
func (l *requestLog) skip(start []byte) error {
	bad := l.bad(start, fmt.Errorf("longer than %d bytes", accesslog.MaxLine))
	for {
		if _, err := l.lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return bad // an error comes again with the next line
		}
	}
}

func (l *requestLog) bad(line []byte, err error) error {
	const shown = 120
	return &accesslog.LineError{Line: l.line, Text: string(line[:min(len(line), shown)]), Err: err}
}

// requestLine is what is between the first quotes after the time, of a line that is known to be whole. A user's name may hold
// quotes and brackets; the time is the first bracket that a space precedes and a digit follows.
func requestLine(line []byte) string {
	at := 0
	for {
		i := bytes.Index(line[at:], []byte(" ["))
		if i < 0 {
			return ""
		}
		at += i + 2
		if at < len(line) && '0' <= line[at] && line[at] <= '9' {
			break
		}
	}
	_, text, _ := bytes.Cut(line[at:], []byte(`] "`))
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return string(text[:i])
		}
	}
	return ""
}

// failure says why there was nothing to count.
func (l *requestLog) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.count.requests > 0 || l.err == nil || !errors.Is(l.err, io.EOF):
		return nil
	case l.malformed == 0:
		return fmt.Errorf("%s: empty: it holds no request", l.name)
	}
	return fmt.Errorf("%s: none of its lines is in the common or combined log format (%s); the first: %w",
		l.name, counted(l.malformed, "line"), l.quoted[0])
}
