package postgres

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

// stores flushes two keys twice into a table with a key column of a type, and compares what the column says, as text.
func stores[K comparable](t *testing.T, typ string, a, b K, wantA, wantB string) {
	t.Run(typ, func(t *testing.T) {
		pool, _ := newPool(t)
		run(t, pool, `CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN small AS int CHECK (value < 100); CREATE DOMAIN tiny AS small;
			CREATE TABLE views (page `+typ+` PRIMARY KEY, n bigint NOT NULL)`)
		c := store.Counts[K]{Table: "views", Keys: []string{"page"}}
		var k any = a
		if _, ok := k.(time.Time); ok {
			c.Split = func(k K) []any { return []any{k} }
		}
		require.NoError(t, CreateTables(t.Context(), pool, c))
		s := newSink(t, pool, c)
		for _, id := range []string{"1", "2"} {
			require.NoError(t, s.Flush(t.Context(), stat.Flush[K]{ID: id, Deltas: []stat.Delta[K]{{Key: a, N: 1}, {Key: b, N: 10}}}))
		}
		require.Equal(t, map[string]int64{wantA: 2, wantB: 20}, counts(t, pool))
	})
}

type userID string

func TestKeysOfManyTypes(t *testing.T) {
	stores[userID](t, "text", "a", "é", "a", "é")
	stores(t, "varchar(5)", "a", "long5", "a", "long5")
	stores(t, "char(5)", "a", "long5", "a", "long5")
	stores(t, "int", -5, 1<<31-1, "-5", "2147483647")
	stores[uint8](t, "smallint", 0, 255, "0", "255")
	stores(t, "bigint", "7", "-7", "7", "-7")
	stores(t, "text", 7, -7, "7", "-7")
	stores(t, "numeric", 0.5, 1e18, "0.5", "1000000000000000000")
	stores(t, "boolean", true, false, "true", "false")
	stores(t, "uuid", [16]byte{1}, [16]byte{0xff}, "01000000-0000-0000-0000-000000000000", "ff000000-0000-0000-0000-000000000000")
	stores(t, "uuid", "01000000-0000-0000-0000-000000000000", "FF000000-0000-0000-0000-000000000000",
		"01000000-0000-0000-0000-000000000000", "ff000000-0000-0000-0000-000000000000")
	stores(t, "bytea", [2]byte{0, 1}, [2]byte{0xff}, `\x0001`, `\xff00`)
	stores(t, "mood", "glad", "sad", "glad", "sad")
	stores(t, "tiny", 7, 99, "7", "99")
	stores(t, "inet", netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1"), "10.0.0.1/32", "::1/128")
	at, later := time.Date(2026, 1, 2, 23, 4, 5, 6000, time.FixedZone("", -7200)), time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	stores(t, "date", at, later, "2026-01-02", "2026-07-01")
	stores(t, "timestamp", at, later, "2026-01-03 01:04:05.000006", "2026-07-01 00:00:00")
	stores(t, "text", at, later, "2026-01-02T23:04:05.000006-02:00", "2026-07-01T00:00:00Z")
}

func TestAKeyThatDoesNotFitItsColumnIsNotStored(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, "CREATE TABLE views (page smallint PRIMARY KEY, n bigint)")
	c := store.Counts[int]{Table: "views", Keys: []string{"page"}}
	require.NoError(t, CreateTables(t.Context(), pool, c))
	s := newSink(t, pool, c)
	require.ErrorIs(t, s.Flush(t.Context(), flushOf("1", 1<<15, 1)), stat.ErrNotStored)
	require.NoError(t, s.Flush(t.Context(), flushOf("1", 1<<15-1, 1)))
	require.Equal(t, map[string]int64{"32767": 1}, counts(t, pool))
}

// TestKeysThatAreTheSameToTheColumnShareARow has keys that one statement cannot write, since they meet in one row.
func TestKeysThatAreTheSameToTheColumnShareARow(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, "CREATE TABLE views (page numeric(9, 1) PRIMARY KEY, n bigint)")
	c := store.Counts[float64]{Table: "views", Keys: []string{"page"}}
	require.NoError(t, CreateTables(t.Context(), pool, c))
	s := newSink(t, pool, c)
	f := stat.Flush[float64]{ID: "1", Deltas: []stat.Delta[float64]{{Key: 0.51, N: 1}, {Key: 0.52, N: 2}, {Key: 7, N: 4}}}
	for range 2 {
		require.NoError(t, s.Flush(t.Context(), f))
	}
	require.Equal(t, map[string]int64{"0.5": 3, "7.0": 4}, counts(t, pool))
}

func TestSplitMayGiveNowThisNowThat(t *testing.T) {
	pool, _ := newPool(t)
	c := store.Counts[int]{Table: "views", Keys: []string{"page"}, Split: func(k int) []any {
		return []any{[]any{"0", int64(1), true, 2.5, []byte("x"), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}[k]}
	}}
	require.NoError(t, CreateTables(t.Context(), pool, c))
	f := stat.Flush[int]{ID: "1"}
	for k := range 6 {
		f.Deltas = append(f.Deltas, stat.Delta[int]{Key: k, N: int64(k)})
	}
	require.NoError(t, newSink(t, pool, c).Flush(t.Context(), f))
	require.Equal(t, map[string]int64{"0": 0, "1": 1, "true": 2, "2.5": 3, `\x78`: 4, "2026-01-01T00:00:00Z": 5}, counts(t, pool))
}

func TestACountMayBeNumeric(t *testing.T) {
	pool, _ := newPool(t)
	run(t, pool, "CREATE TABLE views (page text PRIMARY KEY, n numeric)")
	require.NoError(t, CreateTables(t.Context(), pool, views))
	s := newSink(t, pool, views)
	require.NoError(t, s.Flush(t.Context(), flushOf("1", "a", 1<<63-1)))
	require.NoError(t, s.Flush(t.Context(), flushOf("2", "a", 1<<63-1)))
	require.Equal(t, map[string]int64{"a": 1<<63 - 1}, counts(t, pool))
}
