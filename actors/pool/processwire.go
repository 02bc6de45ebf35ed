package pool

import (
	"encoding/binary"
	"errors"
	"time"
)

// What a pool and a child say to each other, as kinds of frames. Each answer bears the number of its call.
const (
	sayHello   = 'h' // child: I am ready
	sayCall    = 'c' // pool: a request
	sayValue   = 'v' // child: the function returned this value
	sayError   = 'e' // child: the function returned an error: a byte that says which kind, and its text
	sayPanic   = 'p' // child: it panicked; JSON of a remotePanic
	sayGoexit  = 'x' // child: it ended its goroutine
	sayUnknown = 'u' // child: there is no such function
	sayWorn    = 'w' // child: not called, for earlier calls have left too much in its memory
	sayBad     = 'b' // child: the argument or the result does not travel; the text says why
)

// wireVersion is what a child says with its hello. Parent and child are the same binary, unless that was replaced meanwhile.
const wireVersion = "penstock pool 2"

// The kinds of errors that keep their identity on the way.
const (
	plainError byte = iota
	canceledError
	deadlineError
)

// remotePanic is a panic as it travels.
type remotePanic struct {
	Value string
	Stack []byte
}

// request is a call as it travels.
type request struct {
	id     uint64
	json   bool          // the codec
	look   bool          // the child has grown: it is to see whether it is worn
	alone  bool          // the argument can be read by itself, and so must the result
	time   time.Duration // that is left
	memory int64         // that the call may take; 0 if it is not capped
	name   string
	data   []byte
}

const requestHead = 8 + 1 + 8 + 8 + 2

func (r *request) marshal() []byte {
	b := make([]byte, 0, requestHead+len(r.name)+len(r.data))
	b = binary.BigEndian.AppendUint64(b, r.id)
	b = append(b, flag(r.json)|flag(r.look)<<1|flag(r.alone)<<2)
	b = binary.BigEndian.AppendUint64(b, uint64(r.time))
	b = binary.BigEndian.AppendUint64(b, uint64(r.memory))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.name)))
	b = append(b, r.name...)
	return append(b, r.data...)
}

func flag(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}

var errShortRequest = errors.New("a request that ends too early")

func (r *request) unmarshal(b []byte) error {
	if len(b) < requestHead {
		return errShortRequest
	}
	r.id, r.json, r.look, r.alone = binary.BigEndian.Uint64(b), b[8]&1 != 0, b[8]&2 != 0, b[8]&4 != 0
	r.time, r.memory = time.Duration(binary.BigEndian.Uint64(b[9:])), int64(binary.BigEndian.Uint64(b[17:]))
	n := int(binary.BigEndian.Uint16(b[25:]))
	if b = b[requestHead:]; len(b) < n {
		return errShortRequest
	}
	r.name, r.data = string(b[:n]), b[n:]
	return nil
}
