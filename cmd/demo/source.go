package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// openLog opens a file, or standard input for "-". Once ctx ends, reading it fails with ctx's error.
func openLog(ctx context.Context, path string, stdin io.Reader) (name string, log io.ReadCloser, err error) {
	if path == "-" {
		return "standard input", interruptible(ctx, io.NopCloser(stdin)), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory; -log takes a file", path)
	}
	if err != nil {
		_ = file.Close()
		return "", nil, err
	}
	return path, interruptible(ctx, file), nil
}

// interruptible reads src, which may be a terminal or a pipe that never says more, until ctx ends. A read of src that has
// begun by then cannot be called back; it stays behind until src answers or the process ends.
func interruptible(ctx context.Context, src io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		_, err := io.Copy(w, src)
		_ = src.Close() // only read: nothing can be lost
		_ = w.CloseWithError(err)
	}()
	return r
}
