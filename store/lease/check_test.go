package lease

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestCheck(t *testing.T) {
	good := Member{Name: strings.Repeat("ü", 256), Incarnation: strings.Repeat("i", 64), Address: strings.Repeat("a", 512)}
	require.NoError(t, Check(good, 100*time.Millisecond, []int{0, 65535}))
	require.NoError(t, Check(good, time.Hour, nil))
	require.NoError(t, Check(Member{Name: "a", Incarnation: "1"}, 0, make([]int, 65536)))

	err := Check(Member{Name: "a\x00b", Incarnation: strings.Repeat("i", 65), Address: "\xff"}, 99*time.Millisecond, []int{3, -1, 65536})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, want := range []string{
		`Name is "a\x00b"; it takes 1 to 512 bytes of UTF-8 without a NUL`, `Incarnation is "iii`, `it takes 1 to 64 bytes`, `Address is "\xff"`,
		"it takes 0 to 512 bytes", "the lease's time is 99ms; it takes 100ms to 1h0m0s", "shards[1] is -1; it takes 0 to 65535", "shards[2] is 65536",
	} {
		require.ErrorContains(t, err, want)
	}
	for _, m := range []Member{
		{Incarnation: "1"}, {Name: "a"}, {Name: strings.Repeat("n", 513), Incarnation: "1"}, {Name: "\xff", Incarnation: "1"},
		{Name: "a", Incarnation: "1\x00"}, {Name: "a", Incarnation: "1", Address: strings.Repeat("a", 513)},
	} {
		require.ErrorIs(t, Check(m, time.Second, nil), penstock.ErrInvalid, "%v", m)
	}
	for _, ttl := range []time.Duration{-time.Second, 1, time.Hour + 1} {
		require.ErrorIs(t, Check(good, ttl, nil), penstock.ErrInvalid, "%v", ttl)
	}
	require.NoError(t, CheckRenew(good, time.Second))
	require.ErrorIs(t, CheckRenew(good, 0), penstock.ErrInvalid)
	require.ErrorIs(t, CheckRenew(Member{}, time.Second), penstock.ErrInvalid)
	require.ErrorIs(t, Check(good, 0, make([]int, 65537)), penstock.ErrInvalid)
	require.NoError(t, CheckGive(good, []Shard{{Number: 65535}, {Number: 0, Epoch: -1}}))
	require.ErrorContains(t, CheckGive(good, []Shard{{Number: 1}, {Number: -7}}), "shards[1] is -7")
	many := make([]int, 100)
	for i := range many {
		many[i] = -i
	}
	err = Check(good, 0, many)
	require.ErrorContains(t, err, "shards[8] is -8")
	require.NotContains(t, err.Error(), "shards[9]")
	require.ErrorContains(t, err, "so are 91 more shards")
}
