package store

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
)

func TestABadDescriptionIsOneErrorThatNamesEveryField(t *testing.T) {
	_, err := Counts[[2]string]{
		Table: "", Keys: []string{"a", "A", "", "x\x00", strings.Repeat("y", 64), "\xff"}, Value: "a", Updated: "n\x00",
		Merge: 7, Flushes: "a.", Retain: time.Second,
	}.Layout()
	require.ErrorIs(t, err, penstock.ErrInvalid)
	for _, text := range []string{
		`Table is "", and the table's name is empty; it takes a table's name, or a schema's and a table's with a dot between`,
		`Keys[1] is "A", as is Keys[0]; it takes a column of its own`,
		`Keys[2] is "", which is empty; it takes a column's name`,
		`Keys[3] is "x\x00", which has a NUL in it`,
		`which has 64 bytes, more than 63`,
		`Keys[5] is "\xff", which is not UTF-8`,
		"Split is nil, and Keys has 6 columns; it takes a function that gives a key's values for them",
		`Value is "a", as is Keys[0]`,
		`Updated is "n\x00", which has a NUL in it`,
		"Merge is Merge(7); it takes Sum, Max or Last",
		`Flushes is "a.", and the table's name is empty`,
		"Retain is 1s; it takes 1m0s to 87840h0m0s, or 0 for 30 days",
	} {
		require.ErrorContains(t, err, text)
	}
	for text, c := range map[string]Counts[[2]string]{
		"Keys has 0 columns; it takes 1 to 16":                     {Table: "t", Split: func([2]string) []any { return nil }},
		"Split is nil, and a [2]string is not a column's value":    {Table: "t", Keys: []string{"k"}},
		`Flushes is "T", as is Table; it takes a table of its own`: {Table: "t", Flushes: "T"},
		`Table is ".t", and its schema is empty`:                   {Table: ".t"},
		`Keys[0] is "n", which`:                                    {Table: "t", Keys: []string{strings.Repeat("n", 64)}},
		"Retain is 87840h0m0.000000001s":                           {Table: "t", Retain: maxRetain + 1},
		"Merge is Merge(-1)":                                       {Table: "t", Merge: -1},
		`Value is "n", as is Keys[0]`:                              {Table: "t", Keys: []string{"n"}},
		`Updated is "n", as is Value`:                              {Table: "t", Updated: "n"},
	} {
		if strings.HasPrefix(text, "Keys[0]") {
			text = "which has 64 bytes"
		}
		_, err := c.Layout()
		require.ErrorContains(t, err, text)
	}
	_, err = Counts[any]{Table: "t", Keys: []string{"k"}}.Layout()
	require.ErrorContains(t, err, "Split is nil")
	_, err = Counts[time.Time]{Table: "t", Keys: []string{"k"}}.Layout()
	require.NoError(t, err, "a time.Time is a TextMarshaler")
}

func TestDefaults(t *testing.T) {
	l, err := Counts[string]{Table: "stats.views", Keys: []string{"page"}}.Layout()
	require.NoError(t, err)
	require.Equal(t, Name{"stats", "views"}, l.Table)
	require.Equal(t, Name{"stats", "penstock_flushes"}, l.Flushes)
	require.Equal(t, "n", l.Value)
	require.Equal(t, 30*24*time.Hour, l.Retain)
	require.Equal(t, "stats.views.n", l.Counts)
	require.Equal(t, Sum, l.Merge)
	l, err = Counts[string]{Table: "views", Keys: []string{"page"}, Value: "x", Flushes: "other.f"}.Layout()
	require.NoError(t, err)
	require.Equal(t, Name{"other", "f"}, l.Flushes)
	require.Equal(t, `"other"."f"`, l.Flushes.SQL())
	require.Equal(t, `"views"`, l.Table.SQL())
	require.Equal(t, "views.x", l.Counts)
	require.Equal(t, `"a""b", "c"`, QuoteAll([]string{`a"b`, "c"}))
}

func TestMergesAreExact(t *testing.T) {
	const least, most = math.MinInt64, math.MaxInt64
	for _, c := range []struct {
		m               Merge
		stored, n, want int64
	}{
		{Sum, 1, 2, 3}, {Sum, most, 1, most}, {Sum, most - 1, 1, most}, {Sum, 1, most, most}, {Sum, least, -1, least}, {Sum, least + 1, -1, least},
		{Sum, -1, least, least}, {Sum, most, least, -1}, {Sum, least, most, -1}, {Sum, 0, least, least}, {Sum, least, 0, least},
		{Max, 1, 2, 2}, {Max, 2, 1, 2}, {Max, least, most, most}, {Last, 2, 1, 1}, {Last, 0, least, least},
	} {
		require.Equal(t, c.want, c.m.Of(c.stored, c.n), "%v of %d and %d", c.m, c.stored, c.n)
	}
	require.Equal(t, "Sum Max Last Merge(9)", strings.Join([]string{Sum.String(), Max.String(), Last.String(), Merge(9).String()}, " "))
}

func TestIDsOfFlushes(t *testing.T) {
	for _, id := range []string{"a", strings.Repeat("x", 64), "2026-01-01 / 1~"} {
		require.NoError(t, CheckID(id))
	}
	for _, id := range []string{"", strings.Repeat("x", 65), "é", "\x00", "\n", "\x7f"} {
		err := CheckID(id)
		require.ErrorIs(t, err, penstock.ErrInvalid, "%q", id)
		require.ErrorIs(t, err, stat.ErrNotStored, "%q", id)
	}
}

func TestPlainKeys(t *testing.T) {
	type name string
	for what, ok := range map[string]bool{
		"string": plain[string](), "name": plain[name](), "int8": plain[int8](), "uint64": plain[uint64](), "bool": plain[bool](), "float32": plain[float32](),
		"bytes": plain[[16]byte](), "address": plain[netip.Addr](), "time": plain[time.Time](), "valuer": plain[valuer](),
	} {
		require.True(t, ok, what)
	}
	for what, ok := range map[string]bool{
		"struct": plain[struct{ x int }](), "array": plain[[2]int](), "any": plain[any](), "pointer": plain[*int](), "uintptr": plain[uintptr](), "complex": plain[complex128](),
	} {
		require.False(t, ok, what)
	}
}
