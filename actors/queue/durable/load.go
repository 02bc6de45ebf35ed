package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/penstock-go/penstock/internal/boltfile"
)

// loaded is an item that was found in the file.
type loaded struct {
	id     uint64
	record record // without its value
	turn   turn
}

// content is what was found in the file.
type content struct {
	items   []loaded // in the order of their IDs
	lastID  uint64
	dead    int
	damaged int // records that were found damaged and set aside
}

// errLastTry is why an item died whose last try ended with its process.
var errLastTry = errors.New("the process ended before its last try was acknowledged")

// load reads the file. It moves to the dead-letter list what is damaged, and what has had its last try.
func (s *store) load(now time.Time, maxTries int) (c content, err error) {
	defer boltfile.Sound(&err)()
	var doomed []loaded // to be buried, for their turn's reason
	var strange [][]byte
	err = s.db.View(func(tx *bbolt.Tx) error {
		h := shelve(tx)
		c.lastID = h.items.Sequence()
		err := h.items.ForEach(func(k, v []byte) error {
			if len(k) != 8 {
				strange = append(strange, append([]byte(nil), k...))
				return nil
			}
			x := loaded{id: binary.BigEndian.Uint64(k)}
			c.lastID = max(c.lastID, x.id)
			var fault, lost error
			x.record, fault = decodeRecord(v)
			x.record.value = nil
			if t := h.turns.Get(k); t != nil {
				x.turn, lost = decodeTurn(t)
			}
			switch {
			case fault != nil:
				x.turn.reason = brief(fault)
				c.damaged++
				doomed = append(doomed, x)
			case x.turn.tries >= maxTries:
				x.turn.reason = brief(errLastTry)
				doomed = append(doomed, x)
			default:
				if lost != nil {
					c.damaged++ // how often it was handed out is not known: it begins again
				}
				c.items = append(c.items, x)
			}
			return nil
		})
		return errors.Join(err, h.dead.ForEach(func(k, _ []byte) error {
			if len(k) == 8 {
				c.lastID = max(c.lastID, binary.BigEndian.Uint64(k))
			}
			c.dead++
			return nil
		}))
	})
	if err != nil || len(doomed)+len(strange) == 0 {
		return c, err
	}
	return c, s.update(func(tx *bbolt.Tx) error {
		h := shelve(tx)
		for _, x := range doomed {
			if err := h.bury(x.id, now, x.turn.tries, x.turn.reason); err != nil {
				return err
			}
			c.dead++
		}
		for _, k := range strange { // under a key that no item has
			c.lastID++
			u := burial{at: now, reason: fmt.Sprintf("its key %x is none of an item", k), item: h.items.Get(k)}
			if err := errors.Join(h.dead.Put(keyOf(c.lastID), u.encode()), h.items.Delete(k)); err != nil {
				return err
			}
			c.dead++
			c.damaged++
		}
		return h.items.SetSequence(c.lastID)
	})
}
