package wasm

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

const maxFiles = 64 // that an instance may have open: each is memory and a descriptor of the host's

// files is a file system, seen by one instance.
type files struct {
	fs       fs.FS
	instance *instance
}

// Open implements fs.FS.
func (f files) Open(name string) (fs.File, error) {
	f.instance.check()
	if f.instance.files >= maxFiles {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	opened, err := f.fs.Open(name)
	if err != nil {
		return nil, err
	}
	f.instance.files++
	return &file{File: opened, instance: f.instance}, nil
}

// file is an open file. It can what the file that it stands for can.
type file struct {
	fs.File
	instance *instance
	closed   bool
}

// Read implements fs.File.
func (f *file) Read(b []byte) (int, error) {
	f.instance.check()
	return f.File.Read(b)
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.instance.check()
	if r, ok := f.File.(io.ReaderAt); ok {
		return r.ReadAt(b, at)
	}
	return 0, errors.ErrUnsupported
}

// Seek implements io.Seeker.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	if s, ok := f.File.(io.Seeker); ok {
		return s.Seek(offset, whence)
	}
	return 0, errors.ErrUnsupported
}

// ReadDir implements fs.ReadDirFile.
func (f *file) ReadDir(n int) ([]fs.DirEntry, error) {
	f.instance.check()
	if d, ok := f.File.(fs.ReadDirFile); ok {
		return d.ReadDir(n)
	}
	return nil, errors.ErrUnsupported
}

// Close implements fs.File.
func (f *file) Close() error {
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	f.instance.files--
	return f.File.Close()
}
