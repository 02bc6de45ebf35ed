package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/penstock-go/penstock/internal/boltfile"
)

// The file's buckets.
var (
	itemsBucket = []byte("items")
	turnsBucket = []byte("turns")
	deadBucket  = []byte("dead")
)

// store is the file. One goroutine at a time commits; reading goes on meanwhile.
type store struct {
	db     *bbolt.DB
	update func(func(*bbolt.Tx) error) error // a transaction of db that is on disk when it returns
}

// fillPercent packs pages of items, whose keys only rise, nearly full.
const fillPercent = 0.95

// openStore opens the file, and makes it if there is none.
func openStore(path string, lockTimeout time.Duration) (*store, error) {
	db, err := boltfile.Open(path, lockTimeout)
	if err != nil {
		return nil, err
	}
	s := &store{db: db, update: db.Update}
	err = s.update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{itemsBucket, turnsBucket, deadBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return s, nil
}

func (s *store) close() error { return s.db.Close() }

// shelf is the buckets in a transaction.
type shelf struct{ items, turns, dead *bbolt.Bucket }

func shelve(tx *bbolt.Tx) shelf {
	h := shelf{tx.Bucket(itemsBucket), tx.Bucket(turnsBucket), tx.Bucket(deadBucket)}
	h.items.FillPercent = fillPercent
	return h
}

// commit writes a batch. When it returns nil all of it is on disk, otherwise none of it may be relied on.
func (s *store) commit(b *batch) (err error) {
	defer boltfile.Sound(&err)()
	return s.update(func(tx *bbolt.Tx) error {
		h := shelve(tx)
		var errs []error
		if b.lastID > h.items.Sequence() {
			errs = append(errs, h.items.SetSequence(b.lastID))
		}
		for _, id := range b.scrub {
			errs = append(errs, h.end(id))
		}
		for _, w := range b.writes {
			errs = append(errs, h.write(w, b.at))
		}
		return errors.Join(errs...)
	})
}

func (h shelf) write(w *write, at time.Time) (err error) {
	switch w.kind {
	case requeue:
		return h.requeue(w)
	case purgeDead:
		return h.purgeDead(w)
	case handOut:
		w.bodies, w.faults = make([][]byte, len(w.items)), make([]error, len(w.items))
	}
	for i, x := range w.items {
		id := x.Seq
		switch w.kind {
		case put:
			err = h.items.Put(keyOf(id), w.bodies[i])
		case handOut:
			w.bodies[i], w.faults[i], err = h.handOut(x, at)
		case takeBack:
			err = h.turns.Put(keyOf(id), (&turn{tries: x.Tries}).encode())
		case giveBack:
			u := turn{tries: x.Tries, reason: w.reason}
			if w.after > 0 {
				u.notBefore = at.Add(w.after)
			}
			err = h.turns.Put(keyOf(id), u.encode())
		case bury:
			err = h.bury(id, at, x.Tries, x.Value.reason)
		case acknowledge:
			err = h.end(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errVanished says that an item is not in the file although it ought to be: a commit that failed may have come through.
var errVanished = errors.New("it is not in the file any more")

// handOut counts a try and reads the value. What cannot be read goes to the dead-letter list.
func (h shelf) handOut(x *item, at time.Time) (value []byte, fault, err error) {
	raw := h.items.Get(keyOf(x.Seq))
	if raw == nil {
		return nil, errVanished, nil
	}
	r, fault := decodeRecord(raw)
	if fault != nil {
		return nil, fault, h.bury(x.Seq, at, x.Tries, brief(fault))
	}
	value = append(make([]byte, 0, len(r.value)), r.value...)
	return value, nil, h.turns.Put(keyOf(x.Seq), (&turn{tries: x.Tries + 1}).encode())
}

func (h shelf) bury(id uint64, at time.Time, tries int, reason string) error {
	raw := h.items.Get(keyOf(id))
	if raw == nil {
		return nil
	}
	u := burial{at: at, tries: tries, reason: reason, item: raw}
	return errors.Join(h.dead.Put(keyOf(id), u.encode()), h.end(id))
}

func (h shelf) end(id uint64) error {
	return errors.Join(h.items.Delete(keyOf(id)), h.turns.Delete(keyOf(id)))
}

// requeue makes items of dead letters, of all or of none: why not is the write's own fault and no other's.
func (h shelf) requeue(w *write) error {
	w.records, w.fault, w.done = nil, nil, 0
	var bodies [][]byte
	for _, id := range w.ids {
		r, body, err := h.exhume(id)
		if err != nil {
			w.fault = err
			return nil
		}
		w.records, bodies = append(w.records, r), append(bodies, body)
	}
	for i, id := range w.ids {
		if err := errors.Join(h.items.Put(keyOf(w.newIDs[i]), bodies[i]), h.dead.Delete(keyOf(id))); err != nil {
			return err
		}
	}
	w.done = len(w.ids)
	return nil
}

// exhume reads the item of a dead letter.
func (h shelf) exhume(id uint64) (r record, body []byte, err error) {
	raw := h.dead.Get(keyOf(id))
	if raw == nil {
		return r, nil, &NotDeadError{ID: id}
	}
	u, err := decodeBurial(raw)
	if err == nil {
		r, err = decodeRecord(u.item)
	}
	if err != nil {
		return r, nil, fmt.Errorf("dead letter %d: %w", id, err)
	}
	r.value = nil // it is part of the map
	return r, append(make([]byte, 0, len(u.item)), u.item...), nil
}

func (h shelf) purgeDead(w *write) error {
	w.done = 0
	c := h.dead.Cursor()
	if w.ids == nil {
		for k, _ := c.First(); k != nil; k, _ = c.First() {
			w.done++
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	}
	for _, id := range w.ids {
		if h.dead.Get(keyOf(id)) == nil {
			continue
		}
		w.done++
		if err := h.dead.Delete(keyOf(id)); err != nil {
			return err
		}
	}
	return nil
}

// deadLetters calls fn with the oldest dead letters, up to limit. raw is good only during the call.
func (s *store) deadLetters(limit int, fn func(id uint64, raw []byte)) (err error) {
	defer boltfile.Sound(&err)()
	return s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(deadBucket).Cursor()
		for k, v := c.First(); k != nil && limit > 0; k, v = c.Next() {
			if len(k) == 8 {
				fn(binary.BigEndian.Uint64(k), v)
				limit--
			}
		}
		return nil
	})
}
