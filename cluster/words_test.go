package cluster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-go/penstock/messages"
)

func TestRoomCallsAreThoseOfTheirMessage(t *testing.T) {
	for _, m := range []*messages.RoomCall{
		{}, {Service: 1, Room: "r", Id: "i", From: "f", Body: []byte("b")}, {Service: 1 << 31, Body: []byte{0}},
		{Room: strings.Repeat("r", 300), Id: strings.Repeat("i", 512), From: "日本", Body: make([]byte, 1<<16)},
	} {
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, string(want), string(roomCall(Service(m.Service), m.Room, m.Id, m.From, m.Body)))
	}
}

// FuzzRoomCall reads anything as the generated code does, but for text that is not UTF-8: nobody has a room or an ID of that name.
func FuzzRoomCall(f *testing.F) {
	f.Add([]byte("\x08\x01\x12\x01r\x1a\x01i\x22\x01f\x2a\x01b"))
	f.Add([]byte("\x12\x01r\x12\x02rr\x30\x01\x3a\x01x"))
	f.Add([]byte("\x0d\x01\x00\x00\x00"))
	f.Add([]byte("\x12\xff"))
	f.Add([]byte("\x80\x8e\xfb\xbe0\xde0")) // a number that no field may have
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(messages.RoomCall)
		err := proto.Unmarshal(wire, m)
		w, ours := readRoomCall(wire)
		if err != nil {
			if !strings.Contains(err.Error(), "UTF-8") {
				require.Error(t, ours)
			}
			return
		}
		require.NoError(t, ours)
		require.Equal(t, m.GetService(), uint32(w.service))
		require.Equal(t, m.GetRoom(), string(w.room))
		require.Equal(t, m.GetId(), string(w.id))
		require.Equal(t, m.GetFrom(), string(w.from))
		require.Equal(t, string(m.GetBody()), string(w.body))
	})
}

func BenchmarkRoomCall(b *testing.B) {
	body := make([]byte, 24)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readRoomCall(roomCall(Buckets, "api", "user-1234", "node-1", body)); err != nil {
			b.Fatal(err)
		}
	}
}
