package pool

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
)

// stream turns values into bytes and back, for both directions of one channel. It is the same at both ends as long as there
// is one for each channel: gob describes a type once.
type stream struct {
	out bytes.Buffer
	enc *gob.Encoder
	in  bytes.Buffer
	dec *gob.Decoder
}

func newStream() *stream {
	s := new(stream)
	s.enc, s.dec = gob.NewEncoder(&s.out), gob.NewDecoder(&s.in)
	return s
}

// encode returns the value's bytes, which are valid until the next call. After an error the stream is of no use any more.
func (s *stream) encode(v any, asJSON bool) ([]byte, error) {
	if asJSON {
		return json.Marshal(v)
	}
	s.out.Reset()
	err := s.enc.Encode(v)
	return s.out.Bytes(), err
}

// decode reads a value into what v points to. After an error the stream is of no use any more.
func (s *stream) decode(b []byte, v any, asJSON bool) error {
	if asJSON {
		return json.Unmarshal(b, v)
	}
	s.in.Reset()
	s.in.Write(b)
	if err := s.dec.Decode(v); err != nil {
		return err
	}
	if n := s.in.Len(); n > 0 {
		return fmt.Errorf("%d bytes too many", n)
	}
	return nil
}

// encoded is a value that another node has encoded, or is to decode: with a stream of its own.
type encoded []byte

func encodeAlone(v any, asJSON bool) (encoded, error) { return newStream().encode(v, asJSON) }

func (b encoded) decode(v any, asJSON bool) error { return newStream().decode(b, v, asJSON) }
