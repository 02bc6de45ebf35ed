// Package boltfile opens bbolt's files as rooms need them: a damaged file is an error and no panic, and one that somebody else
// has is told from others.
package boltfile

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/penstock-go/penstock/supervisor"
)

// Open opens the file, and makes it if there is none. It waits for lockTimeout if somebody else has it. Each commit is on disk
// when it returns.
func Open(path string, lockTimeout time.Duration) (db *bbolt.DB, err error) {
	defer Sound(&err)()
	if err = check(path, lockTimeout); err == nil {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:         lockTimeout,
			NoFreelistSync:  true, // it is found again when the file is opened, which saves writing it with each commit
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: 64 << 20, // addresses, not memory: the map need not be made anew while the file is small
			NoStatistics:    true,
		})
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use by somebody else or another process, which held its lock for %v", path, lockTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// Sound makes an error of a panic, as bbolt has on a damaged file, and of the fault of reading beyond its end. It is used
// as `defer boltfile.Sound(&err)()`.
func Sound(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if reason := recover(); reason != nil {
			*err = fmt.Errorf("the file is damaged: %w", &supervisor.PanicError{Value: reason, Stack: debug.Stack()})
		}
	}
}
