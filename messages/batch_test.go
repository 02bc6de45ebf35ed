package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// batchWords are one of each, with all that there is.
func batchWords() []proto.Message {
	return []proto.Message{
		&BatchCall{Operation: "add", Key: "ada", Arguments: []byte("5")},
		&BatchAnswer{Ending: BatchEnding_BATCH_ENDING_RECURSIVE, Result: []byte("7"), Text: "why", Member: "b", What: "save", After: 300},
	}
}

// TestGoldenBytesOfBatches holds what batch processors say: a node of another version says the same.
func TestGoldenBytesOfBatches(t *testing.T) {
	for i, want := range []string{
		"0a03616464" + "1203616461" + "1a0135",
		"0813" + "120137" + "1a03776879" + "220162" + "2a0473617665" + "30ac02",
	} {
		w := batchWords()[i]
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(w)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got))
		read := w.ProtoReflect().New().Interface()
		require.NoError(t, proto.Unmarshal(got, read))
		require.True(t, proto.Equal(w, read), "%v", read)
		fields := w.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			require.True(t, w.ProtoReflect().Has(fields.Get(i)), "the golden bytes lack %s", fields.Get(i).FullName())
		}
	}
}

func TestNumbersOfBatchesAreReserved(t *testing.T) {
	for m, from := range map[proto.Message][2]protoreflect.FieldNumber{(*BatchCall)(nil): {4, 9}, (*BatchAnswer)(nil): {7, 9}} {
		for n := from[0]; n <= from[1]; n++ {
			require.True(t, m.ProtoReflect().Descriptor().ReservedRanges().Has(n), "%T %d", m, n)
		}
	}
	for name, number := range map[string]int32{ // an ending is never another one
		"NONE": 0, "DONE": 1, "FAILED": 2, "PANICKED": 3, "ABORTED": 4, "STUCK": 5, "CONFLICT": 6, "STALE": 7, "UNREGISTERED": 8, "CANCELLED": 9,
		"UNSENT": 10, "UNKNOWN": 11, "INVALID": 12, "FULL": 13, "CLOSED": 14, "EXISTS": 15, "AWAY": 16, "CONTEXT_CANCELED": 17, "DEADLINE": 18,
		"RECURSIVE": 19,
	} {
		require.Equal(t, number, BatchEnding_value["BATCH_ENDING_"+name], name)
	}
	require.Len(t, BatchEnding_name, 20)
}

// FuzzBatchDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzBatchDecode(f *testing.F) {
	for _, w := range batchWords() {
		wire, err := proto.Marshal(w)
		require.NoError(f, err)
		f.Add(wire)
		f.Add(wire[:len(wire)/2])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, w := range []proto.Message{new(BatchCall), new(BatchAnswer)} {
			if proto.Unmarshal(wire, w) != nil {
				continue
			}
			again, err := proto.Marshal(w)
			require.NoError(t, err)
			read := w.ProtoReflect().New().Interface()
			require.NoError(t, proto.Unmarshal(again, read))
			require.True(t, proto.Equal(w, read))
		}
	})
}
