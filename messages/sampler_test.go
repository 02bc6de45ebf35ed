package messages

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func samplerLevels() *SamplerLevels {
	return &SamplerLevels{Levels: []*SamplerLevel{{Name: "cpu", Level: 2}, {Name: "memory", Level: 300}}, Life: 3_000_000_000}
}

// TestGoldenBytesOfSamplers holds what samplers say: a node of another version says the same.
func TestGoldenBytesOfSamplers(t *testing.T) {
	got, err := proto.MarshalOptions{Deterministic: true}.Marshal(samplerLevels())
	require.NoError(t, err)
	require.Equal(t, "0a070a036370751002"+"0a0b0a066d656d6f727910ac02"+"1080bcc1960b", hex.EncodeToString(got))
	read := new(SamplerLevels)
	require.NoError(t, proto.Unmarshal(got, read))
	require.True(t, proto.Equal(samplerLevels(), read))
}

func TestNumbersOfSamplersAreReserved(t *testing.T) {
	reserved := (*SamplerLevels)(nil).ProtoReflect().Descriptor().ReservedRanges()
	require.True(t, reserved.Has(3))
	require.True(t, reserved.Has(7))
}

// FuzzSamplerDecode reads anything, and writes what it has read so that it is read again the same.
func FuzzSamplerDecode(f *testing.F) {
	wire, err := proto.Marshal(samplerLevels())
	require.NoError(f, err)
	f.Add(wire)
	f.Add(wire[:len(wire)/2])
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(SamplerLevels)
		if proto.Unmarshal(wire, m) != nil {
			return
		}
		again, err := proto.Marshal(m)
		require.NoError(t, err)
		read := new(SamplerLevels)
		require.NoError(t, proto.Unmarshal(again, read))
		require.True(t, proto.Equal(m, read))
	})
}
