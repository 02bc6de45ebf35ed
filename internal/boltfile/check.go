package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// check reads a file through before bbolt opens it for writing: bbolt then does so on a goroutine of its own, where nobody
// could catch the panic that a damaged page makes. A file that is missing or empty is sound.
func check(path string, lockTimeout time.Duration) (err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer Sound(&err)()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		return errors.Join(walk(tx.Cursor()), tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return walk(b.Cursor()) }))
	})
}

// walk visits every key, which must be in order, and the end of every value, which must be inside the file.
func walk(c *bbolt.Cursor) error {
	var before []byte
	var last byte
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if before != nil && bytes.Compare(before, k) >= 0 {
			return fmt.Errorf("the file is damaged: key %x comes after %x", k, before)
		}
		if len(v) > 0 {
			last ^= v[len(v)-1]
		}
		before = k
	}
	_ = last
	return nil
}
