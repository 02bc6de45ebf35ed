// Package proc starts processes that can be stopped for good, and speaks to them: a process with its whole group, its
// memory capped, in frames of bounded length. It knows nothing of pools.
package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame is a magic byte, a kind, the length of the payload as 4 bytes, and the payload. The magic byte tells a peer that
// does not speak frames from one that does.
const (
	magic      = 0xB7
	headerSize = 6
)

// ErrGarbage says that what came is no frame.
var ErrGarbage = errors.New("it sent something else than a frame")

// TooLongError is a frame that is longer than it may be.
type TooLongError struct{ Length, Max int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("a frame of %d bytes is longer than the %d that are allowed", e.Length, e.Max)
}

// WriteFrame writes a frame in one call.
func WriteFrame(w io.Writer, kind byte, payload []byte) error {
	frame := make([]byte, headerSize, headerSize+len(payload))
	frame[0], frame[1] = magic, kind
	binary.BigEndian.PutUint32(frame[2:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// ReadFrame reads a frame whose payload is at most limit bytes long. The error is io.EOF only between two frames.
func ReadFrame(r io.Reader, limit int) (kind byte, payload []byte, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:1]); err != nil {
		return 0, nil, err
	}
	if header[0] != magic {
		return 0, nil, ErrGarbage
	}
	if _, err := io.ReadFull(r, header[1:]); err != nil {
		return 0, nil, unexpected(err)
	}
	n := binary.BigEndian.Uint32(header[2:])
	if int64(n) > int64(limit) {
		return 0, nil, &TooLongError{Length: int(n), Max: limit}
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, unexpected(err)
	}
	return header[1], payload, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
