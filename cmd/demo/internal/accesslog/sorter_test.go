package accesslog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// logOf is a log of requests at these seconds, each by a client named after its place.
func logOf(seconds []int) string {
	var b strings.Builder
	for i, s := range seconds {
		at := time.Unix(int64(s), 0).UTC()
		fmt.Fprintf(&b, "c%d - - [%s] \"GET / HTTP/1.0\" 200 1\n", i, at.Format(timeLayout))
	}
	return b.String()
}

// TestSorterAgainstSort: entries that are at most so many lines late come as a stable sort has them, and in any case all come.
func TestSorterAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.SliceOfN(rapid.IntRange(0, 50), 0, 60).Draw(t, "seconds")
		ahead := rapid.IntRange(0, 70).Draw(t, "ahead")
		r, err := NewReader(strings.NewReader(logOf(seconds)))
		require.NoError(t, err)
		s := NewSorter(r, ahead)
		var got []Entry
		for {
			e, err := s.Next()
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			got = append(got, e)
		}
		require.Len(t, got, len(seconds))

		type place struct{ second, line int }
		var want []place
		disordered, newest, far := 0, 0, false
		for i, second := range seconds {
			want = append(want, place{second, i})
			if second < newest {
				disordered++
			}
			newest = max(newest, second)
			for j := range max(0, i-ahead) {
				far = far || seconds[j] > second
			}
		}
		require.Equal(t, disordered, s.Disordered)
		slices.SortStableFunc(want, func(a, b place) int { return a.second - b.second })
		names := make(map[string]bool)
		for i, e := range got {
			names[e.Client] = true
			if !far {
				require.Equal(t, fmt.Sprintf("c%d", want[i].line), e.Client)
			}
		}
		require.Len(t, names, len(seconds))
	})
}

func TestSorterTellsErrorsLast(t *testing.T) {
	boom := errors.New("boom")
	r, err := NewReader(io.MultiReader(strings.NewReader(logOf([]int{3, 1})+"bad\n"+logOf([]int{2})), iotest.ErrReader(boom)))
	require.NoError(t, err)
	s := NewSorter(r, 10)
	_, err = s.Next()
	var malformed *LineError
	require.ErrorAs(t, err, &malformed)
	for _, second := range []int64{1, 2, 3} {
		e, err := s.Next()
		require.NoError(t, err)
		assert.Equal(t, second, e.Time.Unix())
	}
	for range 2 {
		_, err = s.Next()
		assert.ErrorIs(t, err, boom)
	}
}
