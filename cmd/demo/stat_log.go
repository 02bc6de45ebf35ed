package main

import (
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
	entries   *accesslog.Reader // nil until the first is taken
	count     *plainCount
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

// next is the next request.
func (l *requestLog) next() (r request, err error) {
	if l.entries == nil {
		if l.entries, err = accesslog.NewReader(l); err != nil {
			return r, err
		}
	}
	e, err := l.entries.Next()
	if err != nil {
		return r, err
	}
	return request{client: e.Client, hit: hit{path: pathOf(e.Request), status: e.Status}}, nil
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
