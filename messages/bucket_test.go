package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bucketWords are one of each, with all that there is.
func bucketWords() []proto.Message {
	grant := &BucketGrant{Beat: &BucketBeat{Life: 1, Stamp: 2}, Epoch: 3, At: 4, Plan: 5, Costs: []int32{6, 7}}
	return []proto.Message{
		&BucketWord{Of: &BucketWord_Ask{Ask: &BucketAsk{
			Beat: &BucketBeat{Life: 1, Stamp: 2}, Nice: -3, Flow: "f", Cost: 4, Costs: map[string]int64{"a": 5},
		}}},
		&BucketWord{Of: &BucketWord_Beat{Beat: &BucketBeat{Life: 1, Stamp: 2}}},
		&BucketWord{Of: &BucketWord_Settle{Settle: &BucketSettle{Id: "x", Grant: grant, Actual: map[string]int64{"a": 8}, Unused: true}}},
		&BucketWord{Of: &BucketWord_Throttle{Throttle: &BucketThrottle{Id: "x", Rest: 9}}},
		&BucketAnswer{Of: &BucketAnswer_Grant{Grant: grant}},
		&BucketAnswer{Of: &BucketAnswer_Full{Full: &BucketFull{Waiting: 1, Limit: "l", RetryAfter: 2}}},
		&BucketAnswer{Of: &BucketAnswer_Invalid{Invalid: "no"}},
		&BucketWord{Of: &BucketWord_Asks{Asks: &BucketAsks{
			Beat: &BucketBeat{Life: 1, Stamp: 2}, Asks: []*BucketAskFor{{Id: "x", Nice: -3, Flow: "f", Cost: 4}, {Id: "y"}},
		}}},
		&BucketTurns{Beat: &BucketBeat{Life: 1, Stamp: 2}, Turns: []*BucketGrant{{Epoch: 3, At: 4, Plan: 5, Costs: []int32{6, 7}}, {}}},
	}
}

// TestGoldenBytesOfBuckets holds what buckets say: a node of another version says the same.
func TestGoldenBytesOfBuckets(t *testing.T) {
	for i, want := range []string{
		"0a1b0a0b090100000000000000100210051a016620042a050a01611005",
		"120b0901000000000000001002",
		"1a250a017812170a0b09010000000000000010021003180420052a0206071a050a016110082001",
		"22050a01781009",
		"0a170a0b09010000000000000010021003180420052a020607",
		"1207080112016c1802",
		"1a026e6f",
		"421e0a0b0901000000000000001002120a0a017810051a0166200412030a0179",
		"0a0b0901000000000000001002120a1003180420052a0206071200",
	} {
		m := bucketWords()[i]
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got))
		read := m.ProtoReflect().New().Interface()
		require.NoError(t, proto.Unmarshal(got, read))
		require.True(t, proto.Equal(m, read), "%v", read)
		complete(t, m.ProtoReflect())
	}
}

// complete fails unless every field of what is said, and of what is in it, is there.
func complete(t *testing.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.ContainingOneof() != nil {
			if m.Has(f) && f.Message() != nil {
				complete(t, m.Get(f).Message())
			}
			continue
		}
		require.True(t, m.Has(f), "the golden bytes lack %s", f.FullName())
		if f.Message() != nil && !f.IsMap() && !f.IsList() {
			complete(t, m.Get(f).Message())
		}
	}
}

func TestNumbersOfBucketsAreReserved(t *testing.T) {
	for m, from := range map[proto.Message][2]protoreflect.FieldNumber{
		(*BucketWord)(nil): {12, 15}, (*BucketAsk)(nil): {6, 9}, (*BucketBeat)(nil): {3, 9}, (*BucketAnswer)(nil): {4, 9},
		(*BucketGrant)(nil): {6, 9}, (*BucketFull)(nil): {4, 9}, (*BucketSettle)(nil): {5, 9}, (*BucketThrottle)(nil): {3, 9},
		(*BucketAsks)(nil): {3, 9}, (*BucketAskFor)(nil): {5, 9}, (*BucketTurns)(nil): {3, 9},
	} {
		for n := from[0]; n <= from[1]; n++ {
			require.True(t, m.ProtoReflect().Descriptor().ReservedRanges().Has(n), "%T %d", m, n)
		}
	}
}

// FuzzBucketDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzBucketDecode(f *testing.F) {
	for _, m := range bucketWords() {
		wire, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(wire)
		f.Add(wire[:len(wire)/2])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, m := range []proto.Message{new(BucketWord), new(BucketAnswer), new(BucketTurns)} {
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
