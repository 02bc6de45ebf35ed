package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/actors/stat"
)

type valuer struct{ x int }

func (v valuer) Value() (driver.Value, error) {
	switch v.x {
	case 0:
		return nil, nil
	case 1:
		return nil, errors.New("no value today")
	case 2:
		return v, nil
	}
	return int64(v.x), nil
}

func layoutOf[K comparable](t testing.TB, columns int, split func(K) []any) *Layout[K] {
	c := Counts[K]{Table: "t", Split: split}
	for i := range columns {
		c.Keys = append(c.Keys, fmt.Sprint("k", i))
	}
	l, err := c.Layout()
	require.NoError(t, err)
	return l
}

func TestValues(t *testing.T) {
	type name string
	at := time.Now()
	for _, c := range []struct{ v, want any }{
		{"x", "x"}, {name("x"), "x"}, {7, int64(7)}, {int8(-7), int64(-7)}, {uint64(math.MaxInt64), int64(math.MaxInt64)}, {true, true},
		{float32(0.5), 0.5}, {math.Inf(1), math.Inf(1)}, {[]byte("x"), []byte("x")}, {[1]byte{5}, []byte{5}}, {[3]byte{1, 2, 3}, []byte{1, 2, 3}}, {[0]byte{}, []byte{}},
		{[]byte{}, []byte{}}, {at, at.Round(0)}, {valuer{5}, int64(5)}, {sql.NullString{String: "x", Valid: true}, "x"}, {netip.MustParseAddr("::1"), "::1"},
	} {
		got, err := value(c.v)
		require.NoError(t, err, "%T", c.v)
		require.Equal(t, c.want, got, "%T", c.v)
	}
	for _, c := range []struct {
		v    any
		text string
	}{
		{nil, "NULL"}, {[]byte(nil), "NULL"}, {sql.NullString{}, "NULL"}, {valuer{}, "NULL"}, {(*valuer)(nil), "NULL"}, {(*netip.Addr)(nil), "NULL"},
		{valuer{1}, "no value today"}, {valuer{2}, "driver.Value"}, {math.NaN(), "not a number"}, {uint64(math.MaxInt64) + 1, "integers up to"},
		{struct{}{}, "it takes a string"}, {[]int{1}, "it takes a string"}, {[2]int{}, "it takes a string"}, {1i, "it takes a string"}, {new(int), "it takes a string"},
	} {
		_, err := value(c.v)
		require.ErrorContains(t, err, c.text, "%T", c.v)
	}
}

func TestRowsNameTheKeysThatHaveNoValues(t *testing.T) {
	l := layoutOf(t, 2, func(k int) []any {
		switch {
		case k < 3:
			return []any{k, "x"}
		case k == 3:
			return []any{k}
		}
		return []any{k, nil}
	})
	var deltas []stat.Delta[int]
	for k := range 20 {
		deltas = append(deltas, stat.Delta[int]{Key: k})
	}
	_, err := l.Rows(deltas)
	require.EqualError(t, err, `key "3": its Split has 1 values for 2 key columns
key "4": column "k1": its value is NULL, which no unique index holds; it takes a value
key "5": column "k1": its value is NULL, which no unique index holds; it takes a value
key "6": column "k1": its value is NULL, which no unique index holds; it takes a value
key "7": column "k1": its value is NULL, which no unique index holds; it takes a value
and more`)
}

// nameOf tells values apart, and not an int from an int64.
func nameOf(values []any) (name string) {
	for _, v := range values {
		if n, ok := v.(int64); ok {
			v = int(n)
		}
		name += fmt.Sprintf("%T %#v ", v, v)
	}
	return name
}

// TestRowsAreInOneOrder splits keys into values of all types, some of them the same, and compares the rows with a map.
func TestRowsAreInOneOrder(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	split := func(k int) []any {
		x := k / 2 % 4 // two keys have the same values
		return []any{k % 3, []any{x, fmt.Sprint(x), x > 1, float64(x) / 3, []byte{byte(x)}, start.Add(time.Duration(x))}[k/8%6]}
	}
	for _, merge := range []Merge{Sum, Max, Last} {
		rapid.Check(t, func(r *rapid.T) {
			l := layoutOf(t, 2, split)
			l.Merge = merge
			var deltas []stat.Delta[int]
			want := make(map[string]int64)
			for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, 150), 0, 60, rapid.ID[int]).Draw(r, "keys") {
				d := stat.Delta[int]{Key: k, N: rapid.Int64().Draw(r, "n")}
				deltas = append(deltas, d)
				name := nameOf(split(k))
				if n, ok := want[name]; ok {
					want[name] = merge.Of(n, d.N)
				} else {
					want[name] = d.N
				}
			}
			rows, err := l.Rows(deltas)
			require.NoError(r, err)
			require.Len(r, rows, len(want))
			for i, row := range rows {
				if i > 0 {
					require.Negative(r, slices.CompareFunc(rows[i-1].Key, row.Key, compare))
					require.Positive(r, slices.CompareFunc(row.Key, rows[i-1].Key, compare))
				}
			}
			for _, row := range rows {
				require.Equal(r, want[nameOf(row.Key)], row.N)
			}
		})
	}
}

func TestTheLastOfKeysWithTheSameValuesStays(t *testing.T) {
	l := layoutOf(t, 1, func(int) []any { return []any{"x"} })
	l.Merge = Last
	rows, err := l.Rows([]stat.Delta[int]{{Key: 1, N: 10}, {Key: 2, N: 5}, {Key: 3, N: 7}})
	require.NoError(t, err)
	require.Equal(t, []Row{{Key: []any{"x"}, N: 7}}, rows)
}

func TestSplitsSliceIsLeftAsItIs(t *testing.T) {
	shared := []any{7}
	l := layoutOf(t, 1, func(int) []any { return shared })
	_, err := l.Rows([]stat.Delta[int]{{Key: 1, N: 10}})
	require.NoError(t, err)
	require.Equal(t, []any{7}, shared)
}

func TestZero(t *testing.T) {
	values, err := layoutOf(t, 2, func(k string) []any { return []any{k, len(k)} }).Zero()
	require.NoError(t, err)
	require.Equal(t, []any{"", int64(0)}, values)
	_, err = layoutOf(t, 1, func(k string) []any { return []any{k[0]} }).Zero()
	require.ErrorContains(t, err, "calling Split with the zero key panicked")
	_, err = layoutOf(t, 2, func(k string) []any { return nil }).Zero()
	require.ErrorContains(t, err, "its Split has 0 values for 2 key columns")
}
