package stat

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// past is what a journal's records say: what was counted and is in no flush, and the flushes that are not settled. A journal
// says the same whatever record it ends with. Keys are as they are in the file.
type past struct {
	replaces func(there, n int64) bool // whether a value takes the place of one that is there; nil: values are summed
	counts   map[string]int64
	flushes  map[string]pastFlush
}

type pastFlush struct {
	keys []string
	ns   []int64
}

func newPast(replaces func(there, n int64) bool) *past {
	return &past{replaces: replaces, counts: make(map[string]int64), flushes: make(map[string]pastFlush)}
}

// The kinds of records. Each begins with its kind; numbers are varints, texts follow their length.
const (
	countRecord   = 'c' // key, n: n was counted for the key
	flushRecord   = 'f' // ID, number of deltas, and for each: key, n, noted: a flush was sealed; noted of n had been recorded as counted
	settledRecord = 's' // ID: the flush is no concern any more, because it was stored, given up or counted on
)

func appendText[T string | []byte](to []byte, s T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

func appendCount(to, key []byte, n int64) []byte {
	return binary.AppendVarint(appendText(append(to, countRecord), key), n)
}

func appendFlush(to []byte, id string, deltas int) []byte {
	return binary.AppendUvarint(appendText(append(to, flushRecord), id), uint64(deltas))
}

func appendDelta(to, key []byte, n, noted int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(appendText(to, key), n), noted)
}

func appendSettled(to []byte, id string) []byte { return appendText(append(to, settledRecord), id) }

// read takes in records.
func (p *past) read(data []byte) error {
	r := reader{data: data}
	for len(r.data) > 0 && r.err == nil {
		kind := r.data[0]
		r.data = r.data[1:]
		switch kind {
		case countRecord:
			key, n := r.text(), r.number()
			if r.err == nil {
				p.count(key, n)
			}
		case flushRecord:
			p.flush(&r)
		case settledRecord:
			delete(p.flushes, r.text())
		default:
			return fmt.Errorf("the journal is damaged: a record of kind %#x", kind)
		}
	}
	return r.err
}

func (p *past) count(key string, n int64) {
	there, has := p.counts[key]
	switch {
	case p.replaces == nil:
		n, _ = plus(there, n)
	case has && !p.replaces(there, n):
		return
	}
	p.set(key, n)
}

func (p *past) set(key string, n int64) {
	if n == 0 && p.replaces == nil {
		delete(p.counts, key)
		return
	}
	p.counts[key] = n
}

func (p *past) flush(r *reader) {
	id, deltas := r.text(), r.length()
	var f pastFlush
	for range deltas {
		key, n, noted := r.text(), r.number(), r.number()
		if r.err != nil {
			return
		}
		f.keys, f.ns = append(f.keys, key), append(f.ns, n)
		if p.replaces != nil {
			delete(p.counts, key)
			continue
		}
		left, _ := plus(p.counts[key], -noted)
		p.set(key, left)
	}
	if r.err == nil {
		p.flushes[id] = f
	}
}

// reader takes records apart. After its first error it returns zeros.
type reader struct {
	data []byte
	err  error
}

var errShort = errors.New("the journal is damaged: a record ends too early")

func (r *reader) number() int64 {
	n, size := binary.Varint(r.data)
	return cut(r, n, size)
}

func (r *reader) length() uint64 {
	n, size := binary.Uvarint(r.data)
	return cut(r, n, size)
}

// cut takes off a number of the given size, which is 0 or less if there was none.
func cut[T int64 | uint64](r *reader, n T, size int) T {
	if r.err != nil || size <= 0 {
		r.err = errShort
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *reader) text() string {
	n := r.length()
	if r.err != nil || n > uint64(len(r.data)) {
		r.err = errShort
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}
