package cluster

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// words is a messages.RoomCall as it is written and read here: by hand, because each call of a room is one, and what is read need not be
// copied.
type words struct {
	service  Service
	room     []byte
	id, from []byte
	body     []byte
}

// The numbers of a RoomCall's fields.
const (
	fieldService = 1
	fieldRoom    = 2
	fieldID      = 3
	fieldFrom    = 4
	fieldBody    = 5
)

// roomCall writes one. What is empty is left out, as proto3 has it.
func roomCall(service Service, room, id, from string, body []byte) []byte {
	b := make([]byte, 0, len(room)+len(id)+len(from)+len(body)+5*(1+protowire.SizeVarint(1<<32)))
	if service != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldService, protowire.VarintType), uint64(service))
	}
	b = appendText(b, fieldRoom, room)
	b = appendText(b, fieldID, id)
	b = appendText(b, fieldFrom, from)
	if len(body) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldBody, protowire.BytesType), body)
	}
	return b
}

func appendText(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

// readRoomCall reads one. What it returns are parts of b.
func readRoomCall(b []byte) (w words, err error) {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return w, protowire.ParseError(size)
		}
		if !n.IsValid() {
			return w, fmt.Errorf("there is no field %d", n)
		}
		b = b[size:]
		switch {
		case n == fieldService && kind == protowire.VarintType:
			var v uint64
			if v, size = protowire.ConsumeVarint(b); size >= 0 {
				w.service = Service(v)
			}
		case n >= fieldRoom && n <= fieldBody && kind == protowire.BytesType:
			var v []byte
			if v, size = protowire.ConsumeBytes(b); size >= 0 {
				*w.field(n) = v
			}
		default: // what a newer version says
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return w, protowire.ParseError(size)
		}
		b = b[size:]
	}
	return w, nil
}

func (w *words) field(n protowire.Number) *[]byte {
	switch n {
	case fieldRoom:
		return &w.room
	case fieldID:
		return &w.id
	case fieldFrom:
		return &w.from
	}
	return &w.body
}
