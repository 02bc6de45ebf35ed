package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// poolTasks are one of each, with all that there is.
func poolTasks() []*PoolTask {
	return []*PoolTask{
		{Name: "t", Time: 1, Memory: 2, Nice: -3, Wait: 4, Work: &PoolTask_Function{Function: &PoolFunction{
			Name: "f", Json: true, Argument: []byte{5},
		}}},
		{Name: "t", Time: 1, Memory: 2, Nice: 3, Wait: 4, Work: &PoolTask_Module{Module: &PoolModule{
			Name: "m", Digest: []byte{5}, Form: PoolForm_POOL_FORM_MAIN, Function: "f", Numbers: []uint64{6, 7}, Input: []byte{8}, Args: []string{"x", "y"},
		}}},
	}
}

func poolEnd() *PoolEnd {
	return &PoolEnd{
		Outcome: PoolOutcome_POOL_OUTCOME_REJECTED, Value: []byte{1}, Text: "t", Stack: []byte{2}, Class: PoolClass_POOL_CLASS_KILLED, Pool: "p",
		Reason: PoolReason_POOL_REASON_UNKNOWN, Amount: 3, Exit: 4, Signal: "s", Tier: 5,
	}
}

// TestGoldenBytesOfPools holds what pools say: a node of another version says the same.
func TestGoldenBytesOfPools(t *testing.T) {
	for i, want := range []string{
		"0a0174" + "1001" + "1802" + "2005" + "2804" + "3208" + "0a0166" + "1001" + "1a0105",
		"0a0174" + "1001" + "1802" + "2006" + "2804" + "3a26" + "0a016d" + "120105" + "1803" + "220166" +
			"2a10" + "0600000000000000" + "0700000000000000" + "320108" + "3a0178" + "3a0179",
	} {
		task := poolTasks()[i]
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(task)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(got))
		read := new(PoolTask)
		require.NoError(t, proto.Unmarshal(got, read))
		require.True(t, proto.Equal(task, read), "%v", read)
	}
	got, err := proto.MarshalOptions{Deterministic: true}.Marshal(poolEnd())
	require.NoError(t, err)
	require.Equal(t, "0809"+"120101"+"1a0174"+"220102"+"2806"+"320170"+"380b"+"4003"+"4804"+"520173"+"5805", hex.EncodeToString(got))
	for _, m := range []proto.Message{poolTasks()[0].GetFunction(), poolTasks()[1].GetModule(), poolEnd()} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			require.True(t, m.ProtoReflect().Has(fields.Get(i)), "the golden bytes lack %s", fields.Get(i).FullName())
		}
	}
}

func TestNumbersOfPoolsAreReserved(t *testing.T) {
	for m, from := range map[proto.Message][2]protoreflect.FieldNumber{
		(*PoolTask)(nil): {8, 15}, (*PoolFunction)(nil): {4, 7}, (*PoolModule)(nil): {8, 11}, (*PoolEnd)(nil): {12, 15},
	} {
		for n := from[0]; n <= from[1]; n++ {
			require.True(t, m.ProtoReflect().Descriptor().ReservedRanges().Has(n), "%T %d", m, n)
		}
	}
}

// FuzzPoolDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzPoolDecode(f *testing.F) {
	for _, m := range []proto.Message{poolTasks()[0], poolTasks()[1], poolEnd()} {
		wire, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(wire)
		f.Add(wire[:len(wire)/2])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, m := range []proto.Message{new(PoolTask), new(PoolEnd)} {
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
