package keys_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/keys"
)

type page string

type pair struct {
	a any
	b int
}

func TestCheck(t *testing.T) {
	require.NoError(t, keys.Check(strings.Repeat("x", keys.Max)))
	require.NoError(t, keys.Check(""+string([]rune{0x10FFFF})))
	require.NoError(t, keys.Check(0))
	require.NoError(t, keys.Check[any](nil))
	require.NoError(t, keys.Check[any](pair{1, 2}))
	require.NoError(t, keys.Check(pair{[2]any{1, nil}, 2}))

	require.EqualError(t, keys.Check(""), `it is ""; it takes 1 to 512 bytes of UTF-8`)
	require.ErrorContains(t, keys.Check(page("")), `it is ""`)
	require.ErrorContains(t, keys.Check[any](page("")), `it is ""`)
	require.ErrorContains(t, keys.Check(strings.Repeat("x", keys.Max+1)), "xxx…")
	require.ErrorContains(t, keys.Check("\xff"), "UTF-8")
	require.ErrorContains(t, keys.Check(math.NaN()), "not equal to itself")
	require.ErrorContains(t, keys.Check([1]any{math.NaN()}), "not equal to itself")
	require.ErrorContains(t, keys.Check[any]([]int{1}), "it is a []int or holds what cannot be compared")
	require.ErrorContains(t, keys.Check(pair{[1]any{func() {}}, 2}), "what can be a map's key")
}

func TestText(t *testing.T) {
	for _, k := range []any{"a", page("a")} {
		s, ok := keys.Text(k)
		require.True(t, ok)
		require.Equal(t, "a", s)
	}
	_, ok := keys.Text[any](nil)
	require.False(t, ok)
	_, ok = keys.Text(1)
	require.False(t, ok)
}
