package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestGoldenBytesOfCounters holds what counters say: a node of another version says the same.
func TestGoldenBytesOfCounters(t *testing.T) {
	for want, m := range map[string]proto.Message{
		"0804" + "12026462": &StatAsk{Kind: StatKind_STAT_KIND_HISTOGRAM, Key: []byte("db")},
		"0805" + "1001":     &StatCount{N: -3, There: true},
	} {
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got))
		read := m.ProtoReflect().New().Interface()
		require.NoError(t, proto.Unmarshal(got, read))
		require.True(t, proto.Equal(m, read), "%v", read)
		for n := range protoreflect.FieldNumber(7) {
			require.True(t, m.ProtoReflect().Descriptor().ReservedRanges().Has(3+n))
		}
	}
}

// FuzzStatDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzStatDecode(f *testing.F) {
	f.Add([]byte("\x08\x04\x12\x02db"))
	f.Add([]byte("\x08\x05\x10"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, m := range []proto.Message{new(StatAsk), new(StatCount)} {
			if proto.Unmarshal(wire, m) != nil {
				continue
			}
			again, err := proto.Marshal(m)
			require.NoError(t, err)
			read := m.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(again, read))
			require.True(t, proto.Equal(m, read))
		}
	})
}
