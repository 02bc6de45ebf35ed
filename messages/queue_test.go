package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// queueWords are one of each, with all that there is.
func queueWords() []*QueueWord {
	return []*QueueWord{
		{Kind: QueueKind_QUEUE_KIND_COUNTER, Name: "db", Of: &QueueWord_Report{Report: &QueueReport{
			Life: 1, Number: 2, Clock: 3, Epoch: 4, Loan: 5, Limit: 6, Used: 7, Want: 8, Least: 9, Spent: 10, Idle: true, Gone: true,
		}}},
		{Kind: QueueKind_QUEUE_KIND_RATE, Name: "api", Of: &QueueWord_Loan{Loan: &QueueLoan{
			Life: 1, Epoch: 2, Number: 3, Clock: 4, Limit: 5, Held: 6, Most: 7, Hello: true,
		}}},
	}
}

// TestGoldenBytesOfQueues holds what queues say: a node of another version says the same.
func TestGoldenBytesOfQueues(t *testing.T) {
	for i, want := range []string{
		"080112026462" + "1a1f" + "090100000000000000" + "1002" + "1803" + "2004" + "2805" + "3006" + "3807" + "4008" + "4809" + "500a" + "5801" + "6001",
		"08021203617069" + "2217" + "090100000000000000" + "1002" + "1803" + "2004" + "2805" + "3006" + "3807" + "4001",
	} {
		w := queueWords()[i]
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(w)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got))
		read := new(QueueWord)
		require.NoError(t, proto.Unmarshal(got, read))
		require.True(t, proto.Equal(w, read), "%v", read)
	}
	for _, m := range []proto.Message{queueWords()[0].GetReport(), queueWords()[1].GetLoan()} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			require.True(t, m.ProtoReflect().Has(fields.Get(i)), "the golden bytes lack %s", fields.Get(i).FullName())
		}
	}
}

func TestNumbersOfQueuesAreReserved(t *testing.T) {
	for m, from := range map[proto.Message][2]protoreflect.FieldNumber{
		(*QueueWord)(nil): {5, 9}, (*QueueReport)(nil): {13, 15}, (*QueueLoan)(nil): {9, 15},
	} {
		for n := from[0]; n <= from[1]; n++ {
			require.True(t, m.ProtoReflect().Descriptor().ReservedRanges().Has(n), "%T %d", m, n)
		}
	}
}

// FuzzQueueDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzQueueDecode(f *testing.F) {
	for _, w := range queueWords() {
		wire, err := proto.Marshal(w)
		require.NoError(f, err)
		f.Add(wire)
		f.Add(wire[:len(wire)/2])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		w := new(QueueWord)
		if proto.Unmarshal(wire, w) != nil {
			return
		}
		again, err := proto.Marshal(w)
		require.NoError(t, err)
		read := new(QueueWord)
		require.NoError(t, proto.Unmarshal(again, read))
		require.True(t, proto.Equal(w, read))
	})
}
