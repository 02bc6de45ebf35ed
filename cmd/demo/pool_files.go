package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// largestFile bounds the files that are worked on, so that how long the act takes does not hang on a single one.
const largestFile = 16 << 20 // bytes

// tree is a directory and the files below it.
type tree struct {
	dir   string
	files []string
}

// find lists the files of a directory and of those below it, in their order and up to the act's number: those that hold
// something and can be looked at. Links are not followed.
func (a poolAct) find(ctx context.Context) (t tree, err error) {
	t.dir = a.dir
	if t.dir == "" {
		t.dir = goSources(ctx)
	}
	if t.dir, err = filepath.EvalSymlinks(t.dir); err != nil {
		return t, fmt.Errorf("-dir: %w", err)
	}
	err = filepath.WalkDir(t.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil || len(t.files) == a.files:
			return fs.SkipAll
		case err != nil:
			if path == t.dir {
				return err
			}
			return nil // a directory that others may not look at
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 && info.Size() <= largestFile {
			t.files = append(t.files, path)
		}
		return nil
	})
	if err == nil && len(t.files) == 0 && ctx.Err() == nil {
		err = fmt.Errorf("%s holds no file of 1 byte to %d MiB", t.dir, largestFile>>20)
	}
	if err != nil {
		return t, fmt.Errorf("-dir: %w", err)
	}
	return t, nil
}

// goSources is where the sources of Go's standard library are, or else the current directory.
func goSources(ctx context.Context) string {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	command := exec.CommandContext(ctx, "go", "env", "GOROOT")
	command.Env = append(os.Environ(), "GOTOOLCHAIN=local") // it is asked, and must not fetch another one
	root, err := command.Output()
	if err != nil {
		return "."
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	if info, err := os.Stat(src); err != nil || !info.IsDir() {
		return "."
	}
	return src
}

// digest is what became of a file.
type digest struct {
	Hash   [sha256.Size]byte
	Read   int64 // bytes
	Zipped int64 // bytes that gzip made of them
}

// digester works on files. It is safe for concurrent use.
type digester struct{ compressors sync.Pool }

func newDigester() *digester {
	return &digester{sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}}
}

// file hashes and compresses a file.
func (d *digester) file(ctx context.Context, path string) (result digest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return result, err
	}
	defer func() { _ = f.Close() }() // only read: nothing can be lost
	hash, zipped := sha256.New(), new(length)
	z := d.compressors.Get().(*gzip.Writer)
	defer d.compressors.Put(z)
	z.Reset(zipped)
	result.Read, err = io.Copy(io.MultiWriter(hash, z), io.LimitReader(&obedient{ctx, f}, largestFile)) // it may have grown
	if err = errors.Join(err, z.Close()); err != nil {
		return digest{}, err
	}
	hash.Sum(result.Hash[:0])
	result.Zipped = int64(*zipped)
	return result, nil
}

// length counts what is written to it.
type length int64

func (n *length) Write(p []byte) (int, error) {
	*n += length(len(p))
	return len(p), nil
}

// obedient reads until its context ends.
type obedient struct {
	ctx context.Context
	src io.Reader
}

func (r *obedient) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.src.Read(p)
}
