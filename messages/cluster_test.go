package messages

import (
	"encoding/hex"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var update = flag.Bool("update", false, "write the golden bytes anew: nodes of the version before no longer understand what is sent")

const golden = "testdata/batch.hex"

// full is a batch that has everything there is.
func full() *Batch {
	return &Batch{
		From: "10.0.0.1:7300", Life: 0x0102030405060708, To: 0x1112131415161718, Link: 3,
		Ping: 1_000_000_007, Pong: &Pong{Echo: 2_000_000_011, Clock: -3}, Sent: 4_000_000_013,
		Requests: []*Request{
			{Id: 1, Kind: 2, Epoch: 3, Budget: 1_500_000, Payload: []byte("one")},
			{Id: 1 << 40, Kind: 1 << 20},
		},
		Answers: []*Answer{
			{Id: 5, Kind: 6, Payload: []byte("two")},
			{Id: 7, Refusal: Refusal_REFUSAL_FAILED, Text: "its handler panicked"},
		},
		Cancels: []uint64{8, 300}, Settled: []uint64{9, 70_000},
	}
}

// TestGoldenBytes holds what is on the wire: a node of another version sends and reads the same.
func TestGoldenBytes(t *testing.T) {
	got, err := proto.MarshalOptions{Deterministic: true}.Marshal(full())
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(hex.EncodeToString(got)+"\n"), 0o644))
	}
	text, err := os.ReadFile(golden)
	require.NoError(t, err)
	want, err := hex.DecodeString(string(text[:len(text)-1]))
	require.NoError(t, err)
	require.Equal(t, want, got)

	read := new(Batch)
	require.NoError(t, proto.Unmarshal(want, read))
	require.True(t, proto.Equal(full(), read), "%v", read)
}

// TestGoldenBytesHaveEveryField keeps the golden bytes complete when fields are added.
func TestGoldenBytesHaveEveryField(t *testing.T) {
	b := full()
	for _, m := range []proto.Message{b, b.Pong, b.Requests[0]} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			require.True(t, m.ProtoReflect().Has(fields.Get(i)), "%s", fields.Get(i).FullName())
		}
	}
	fields := (*Answer)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		has := func(a *Answer) bool { return a.ProtoReflect().Has(fields.Get(i)) }
		require.True(t, has(b.Answers[0]) || has(b.Answers[1]), "%s", fields.Get(i).FullName())
	}
}

// TestANewerVersionIsUnderstood reads what has fields that this version does not know, and a refusal that it does not.
func TestANewerVersionIsUnderstood(t *testing.T) {
	wire, err := proto.Marshal(full())
	require.NoError(t, err)
	wire = append(wire, 0x82, 0x01, 0x03, 'n', 'e', 'w') // field 16, bytes
	read := new(Batch)
	require.NoError(t, proto.Unmarshal(wire, read))
	require.NotEmpty(t, read.ProtoReflect().GetUnknown())
	require.Equal(t, full().From, read.From)

	wire, err = proto.Marshal(&Answer{Id: 1, Refusal: 99})
	require.NoError(t, err)
	answer := new(Answer)
	require.NoError(t, proto.Unmarshal(wire, answer))
	require.NotEqual(t, Refusal_REFUSAL_NONE, answer.Refusal)
}

func TestNumbersAreReserved(t *testing.T) {
	reserved := (*Batch)(nil).ProtoReflect().Descriptor().ReservedRanges()
	for n := protoreflect.FieldNumber(12); n <= 15; n++ {
		require.True(t, reserved.Has(n), "%d", n)
	}
}

// FuzzDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzDecode(f *testing.F) {
	wire, err := proto.Marshal(full())
	require.NoError(f, err)
	f.Add(wire)
	f.Add(wire[:len(wire)/2])
	f.Add([]byte{})
	f.Add([]byte{0x42, 0xff, 0xff, 0xff, 0xff, 0x0f}) // a request of 4 GB, which is not there
	f.Fuzz(func(t *testing.T, wire []byte) {
		b := new(Batch)
		if proto.Unmarshal(wire, b) != nil {
			return
		}
		again, err := proto.Marshal(b)
		require.NoError(t, err)
		read := new(Batch)
		require.NoError(t, proto.Unmarshal(again, read))
		third, err := proto.MarshalOptions{Deterministic: true}.Marshal(read)
		require.NoError(t, err)
		second, err := proto.MarshalOptions{Deterministic: true}.Marshal(b)
		require.NoError(t, err)
		require.Equal(t, second, third)
		for _, r := range b.GetRequests() {
			_ = r.GetPayload()
		}
	})
}

// TestGoldenBytesOfRooms holds what is inside requests and answers.
func TestGoldenBytesOfRooms(t *testing.T) {
	for want, m := range map[string]proto.Message{
		"08021204726f6f6d1a027237220161" + "2a0178": &RoomCall{Service: 2, Room: "room", Id: "r7", From: "a", Body: []byte("x")},
		"0a016212" + "03623a311807":                 &NotOwner{Name: "b", Address: "b:1", Epoch: 7},
		"0802120466756c6c":                          &RoomError{Class: ErrorClass_ERROR_CLASS_FULL, Text: "full"},
		"0a01621203623a31" + "1a0408091005":         &Owned{Name: "b", Address: "b:1", Shards: []*OwnedShard{{Number: 9, Epoch: 5}}},
	} {
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got), "%T", m)
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			require.True(t, m.ProtoReflect().Has(fields.Get(i)), "%s", fields.Get(i).FullName())
		}
	}
}
