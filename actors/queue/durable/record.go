package durable

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// What is on disk, in big-endian numbers. Each record begins with its version and the checksum of all that follows, so that
// a damaged one is known as such.
//
//	item:  version 1, checksum 4, time 8, niceness 1, cost 4, flow 2+n, value
//	turn:  version 1, checksum 4, tries 4, not before 8, reason
//	dead:  version 1, checksum 4, time 8, tries 4, reason 2+n, the item's record
//
// Times are nanoseconds of Unix time, 0 for none. Keys are the item's ID, 8 bytes, in all three.
const (
	recordVersion = 1
	prefixLen     = 5 // version and checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("its record is damaged: its checksum is wrong")

// seal fills in the prefix of a record whose rest is complete.
func seal(b []byte) []byte {
	b[0] = recordVersion
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[prefixLen:], castagnoli))
	return b
}

// open returns what follows the prefix, if that is sound and at least so long.
func open(b []byte, least int) ([]byte, error) {
	if len(b) < prefixLen+least || binary.BigEndian.Uint32(b[1:]) != crc32.Checksum(b[prefixLen:], castagnoli) {
		return nil, errDamaged
	}
	if b[0] != recordVersion {
		return nil, errors.New("its record is of another version")
	}
	return b[prefixLen:], nil
}

// record is an item as it was put in.
type record struct {
	at    time.Time
	nice  int
	cost  int
	flow  string
	value []byte
}

const recordHead = 8 + 1 + 4 + 2

func (r *record) encode() []byte {
	b := make([]byte, prefixLen, prefixLen+recordHead+len(r.flow)+len(r.value))
	b = binary.BigEndian.AppendUint64(b, uint64(r.at.UnixNano()))
	b = append(b, byte(int8(r.nice)))
	b = binary.BigEndian.AppendUint32(b, uint32(r.cost))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.flow)))
	b = append(b, r.flow...)
	b = append(b, r.value...)
	return seal(b)
}

// decodeRecord reads a record. Its value is part of b.
func decodeRecord(b []byte) (record, error) {
	b, err := open(b, recordHead)
	if err != nil {
		return record{}, err
	}
	r := record{
		at:   time.Unix(0, int64(binary.BigEndian.Uint64(b))),
		nice: int(int8(b[8])),
		cost: int(binary.BigEndian.Uint32(b[9:])),
	}
	n := int(binary.BigEndian.Uint16(b[13:]))
	if len(b) < recordHead+n {
		return record{}, errDamaged
	}
	r.flow, r.value = string(b[recordHead:recordHead+n]), b[recordHead+n:]
	return r, nil
}

// turn is how often an item has been handed out, and what became of that.
type turn struct {
	tries     int
	notBefore time.Time // when it may be handed out again; zero: at once
	reason    string    // why it came back the last time; empty: it did not say, or has not come back
}

const turnHead = 4 + 8

func (u *turn) encode() []byte {
	b := make([]byte, prefixLen, prefixLen+turnHead+len(u.reason))
	b = binary.BigEndian.AppendUint32(b, uint32(u.tries))
	b = binary.BigEndian.AppendUint64(b, nanos(u.notBefore))
	b = append(b, u.reason...)
	return seal(b)
}

func decodeTurn(b []byte) (turn, error) {
	b, err := open(b, turnHead)
	if err != nil {
		return turn{}, err
	}
	return turn{int(binary.BigEndian.Uint32(b)), moment(b[4:]), string(b[turnHead:])}, nil
}

// burial is an item of the dead-letter list.
type burial struct {
	at     time.Time
	tries  int
	reason string
	item   []byte // its record, sound or not
}

const burialHead = 8 + 4 + 2

func (u *burial) encode() []byte {
	b := make([]byte, prefixLen, prefixLen+burialHead+len(u.reason)+len(u.item))
	b = binary.BigEndian.AppendUint64(b, nanos(u.at))
	b = binary.BigEndian.AppendUint32(b, uint32(u.tries))
	b = binary.BigEndian.AppendUint16(b, uint16(len(u.reason)))
	b = append(b, u.reason...)
	b = append(b, u.item...)
	return seal(b)
}

// decodeBurial reads a burial. Its item is part of b.
func decodeBurial(b []byte) (burial, error) {
	b, err := open(b, burialHead)
	if err != nil {
		return burial{}, err
	}
	u := burial{at: moment(b), tries: int(binary.BigEndian.Uint32(b[8:]))}
	n := int(binary.BigEndian.Uint16(b[12:]))
	if len(b) < burialHead+n {
		return burial{}, errDamaged
	}
	u.reason, u.item = string(b[burialHead:burialHead+n]), b[burialHead+n:]
	return u, nil
}

func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func moment(b []byte) time.Time {
	if n := int64(binary.BigEndian.Uint64(b)); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// maxReason is how much of a reason is kept, in bytes.
const maxReason = 1024

// brief is err's text, as much of it as is kept.
func brief(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	return text[:min(len(text), maxReason)]
}

func keyOf(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }
