package stat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/penstock-go/penstock/internal/boltfile"
)

var (
	aboutBucket = []byte("about") // what the file is
	logBucket   = []byte("log")   // pieces of records, by number
	kindKey     = []byte("kind")
	bufferKey   = []byte("buffer")
)

// maxPiece is how many bytes of records are written as one value. bbolt takes 2 GiB at most.
const maxPiece = 4 << 20

// journalFile is the file of a journal.
type journalFile struct {
	db   *bbolt.DB
	size int // bytes of records in it

	update func(func(*bbolt.Tx) error) error // a transaction of db that is on disk when it returns
}

// openJournal opens the file, or makes it, and reads what it holds. kind and name must be those that it was made with.
func openJournal(path string, lockTimeout time.Duration, kind Kind, name string, into *past) (f *journalFile, err error) {
	defer boltfile.Sound(&err)()
	db, err := boltfile.Open(path, lockTimeout)
	if err != nil {
		return nil, err
	}
	f = &journalFile{db: db, update: db.Update}
	err = db.Update(func(tx *bbolt.Tx) error {
		about, err := tx.CreateBucketIfNotExists(aboutBucket)
		if err != nil {
			return err
		}
		if was := about.Get(kindKey); was != nil && (Kind(was) != kind || string(about.Get(bufferKey)) != name) {
			return fmt.Errorf("it is the journal of the %s buffer %q", was, about.Get(bufferKey))
		}
		log, err := tx.CreateBucketIfNotExists(logBucket)
		if err != nil {
			return err
		}
		if err := log.ForEach(func(_, piece []byte) error {
			f.size += len(piece)
			return into.read(piece)
		}); err != nil {
			return err
		}
		return errors.Join(about.Put(kindKey, []byte(kind)), about.Put(bufferKey, []byte(name)))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return f, nil
}

// write adds records, or puts them in the place of all there are. Each is on disk when it returns nil; if it does not, none
// may be relied on.
func (f *journalFile) write(records [][]byte, instead bool) (err error) {
	defer boltfile.Sound(&err)()
	written := 0
	err = f.update(func(tx *bbolt.Tx) error {
		written = 0
		if instead {
			if err := tx.DeleteBucket(logBucket); err != nil {
				return err
			}
			if _, err := tx.CreateBucket(logBucket); err != nil {
				return err
			}
		}
		log := tx.Bucket(logBucket)
		log.FillPercent = 0.95 // keys only rise
		for left := records; len(left) > 0; {
			var piece []byte
			for len(left) > 0 && (len(piece) == 0 || len(piece)+len(left[0]) <= maxPiece) {
				piece = append(piece, left[0]...)
				left = left[1:]
			}
			number, err := log.NextSequence()
			if err != nil {
				return err
			}
			if err := log.Put(binary.BigEndian.AppendUint64(nil, number), piece); err != nil {
				return err
			}
			written += len(piece)
		}
		return nil
	})
	switch {
	case err != nil:
	case instead:
		f.size = written
	default:
		f.size += written
	}
	return err
}

func (f *journalFile) close() error { return f.db.Close() }
