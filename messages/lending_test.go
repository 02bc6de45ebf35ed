package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// lendingWords are one of each, with all that there is.
func lendingWords() []proto.Message {
	return []proto.Message{
		&BucketEstateAsk{Epoch: 1, Ids: []string{"a"}},
		&BucketEstate{
			Limits: []*BucketLimit{{Name: "l", Events: 1, Per: 2, Algorithm: 3, Burst: 4}},
			Slack:  5,
			Accounts: []*BucketAccount{{Past: []*BucketPast{{
				Ages: []int64{1}, Counts: []int64{2}, Lost: 3, Known: true, Full: true, Ahead: -6, Last: 7,
				Window: -8, Latest: -9, Closed: -10, Count: 11, Tail: 12,
			}}, Throttled: 2}},
		},
		&BucketWants{
			Life:    9,
			Stamp:   1,
			Wants:   []*BucketWant{{Id: "a", Epoch: 2, Seen: 3, Want: 4, Rate: 0.5}},
			Returns: []*BucketReturn{{Id: "a", Epoch: 2, Number: 3, Left: 4}},
		},
		&BucketSlices{Life: 9, Slices: []*BucketSlice{{Id: "a", Epoch: 2, Number: 3, Requests: 4, Stamp: 5, At: 6, Plan: 7}}},
	}
}

// TestGoldenBytesOfLending holds what buckets hand over and lend: a node of another version says the same.
func TestGoldenBytesOfLending(t *testing.T) {
	for i, want := range []string{
		"0801" + "120161",
		"0a0b" + "0a016c" + "1001" + "1802" + "2003" + "2804" + "1005" + "1a1e" + "0a1a" + "0a0101" + "120102" + "1803" + "2001" + "2801" + "300b" + "3807" + "400f" + "4811" + "5013" + "580b" + "600c" + "1002",
		"090900000000000000" + "1001" + "1a12" + "0a0161" + "1002" + "1803" + "2004" + "29000000000000e03f" + "2209" + "0a0161" + "1002" + "1803" + "2004",
		"090900000000000000" + "120f" + "0a0161" + "1002" + "1803" + "2004" + "2805" + "3006" + "3807",
	} {
		w := lendingWords()[i]
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(w)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got), "%T", w)
		read := w.ProtoReflect().New().Interface()
		require.NoError(t, proto.Unmarshal(got, read))
		require.True(t, proto.Equal(w, read), "%v", read)
		requireAllFields(t, w)
	}
}

// requireAllFields fails unless the message, and each in it, has every field.
func requireAllFields(t *testing.T, m proto.Message) {
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		require.True(t, r.Has(f), "the golden bytes lack %s", f.FullName())
		if f.Message() != nil {
			requireAllFields(t, r.Get(f).List().Get(0).Message().Interface())
		}
	}
	require.NotZero(t, r.Descriptor().ReservedRanges().Len(), "%s reserves no numbers", r.Descriptor().FullName())
}

// FuzzLendingDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzLendingDecode(f *testing.F) {
	for i, w := range lendingWords() {
		wire, err := proto.Marshal(w)
		require.NoError(f, err)
		f.Add(i, wire)
		f.Add(i, wire[:len(wire)/2])
	}
	f.Fuzz(func(t *testing.T, kind int, wire []byte) {
		w := lendingWords()[uint(kind)%uint(len(lendingWords()))].ProtoReflect().New().Interface()
		if proto.Unmarshal(wire, w) != nil {
			return
		}
		again, err := proto.Marshal(w)
		require.NoError(t, err)
		read := w.ProtoReflect().New().Interface()
		require.NoError(t, proto.Unmarshal(again, read))
		require.True(t, proto.Equal(w, read) || hasNaN(w))
	})
}

// hasNaN reports whether a rate is no number, which equals nothing.
func hasNaN(m proto.Message) bool {
	w, _ := m.(*BucketWants)
	for _, want := range w.GetWants() {
		if want.GetRate() != want.GetRate() {
			return true
		}
	}
	return false
}
