package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

func TestOneFlushGoesToSeveralTables(t *testing.T) {
	db := openNew(t)
	other := store.Counts[string]{Table: "views", Keys: []string{"page"}, Value: "most", Merge: store.Max}
	days := store.Counts[string]{Table: "days", Keys: []string{"page", "day"}, Split: func(k string) []any { return []any{k, 7} }}
	run(t, db, "CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER, most INTEGER)")
	require.NoError(t, CreateTables(t.Context(), db, days))
	for range 2 {
		f := flushOf("1", "a", 3)
		require.NoError(t, newSink(t, db, views).Flush(t.Context(), f))
		require.NoError(t, newSink(t, db, other).Flush(t.Context(), f))
		require.NoError(t, newSink(t, db, days).Flush(t.Context(), f))
	}
	var n, most, day int64
	require.NoError(t, db.QueryRow("SELECT views.n, most, days.n FROM views JOIN days USING (page) WHERE day = 7").Scan(&n, &most, &day))
	require.Equal(t, []int64{3, 3, 3}, []int64{n, most, day})
}

// TestNamesAreNotSQL uses names that break what is not quoted.
func TestNamesAreNotSQL(t *testing.T) {
	db := openNew(t)
	c := store.Counts[string]{
		Table: `main.table "; --`, Flushes: `main.select 'x`, Keys: []string{`group`, `"key"`}, Value: `order by`, Updated: `when?`,
		Split: func(k string) []any { return []any{k, len(k)} },
	}
	for range 2 {
		require.NoError(t, CreateTables(t.Context(), db, c))
	}
	s := newSink(t, db, c)
	for id := range 3 {
		require.NoError(t, s.Flush(t.Context(), flushOf(string(rune('a'+id)), "it's", 2)))
	}
	var n int64
	require.NoError(t, db.QueryRow(`SELECT "order by" FROM "table ""; --" WHERE "group" = 'it''s' AND """key""" = 4`).Scan(&n))
	require.EqualValues(t, 6, n)
}

func TestValuesOfKeys(t *testing.T) {
	type key struct {
		Name string
		ID   [16]byte
		On   bool
		Half float64
		At   time.Time
	}
	db := openNew(t)
	c := store.Counts[key]{
		Table: "counts", Keys: []string{"name", "id", "switch", "half", "at"},
		Split: func(k key) []any { return []any{k.Name, k.ID, k.On, k.Half, k.At} },
	}
	require.NoError(t, CreateTables(t.Context(), db, c))
	k := key{"x", [16]byte{1, 0xff}, true, 0.5, time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))}
	s := newSink(t, db, c)
	for _, id := range []string{"1", "2"} {
		require.NoError(t, s.Flush(t.Context(), stat.Flush[key]{ID: id, Deltas: []stat.Delta[key]{{Key: k, N: 1}, {Key: key{}, N: 1}}}))
	}
	var got string
	require.NoError(t, db.QueryRow("SELECT name || hex(id) || switch || half || at || n FROM counts WHERE name = 'x'").Scan(&got))
	require.Equal(t, "x01FF0000000000000000000000000000"+"1"+"0.5"+"2026-01-02 02:04:05.0000006"+"2", got)
}

func TestUpdatedIsTheDatabasesTime(t *testing.T) {
	for typ, now := range map[string]string{"TEXT": "datetime('now')", "INTEGER": "unixepoch()"} {
		db := openNew(t)
		run(t, db, "CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER NOT NULL, at "+typ+")")
		c := views
		c.Updated = "at"
		require.NoError(t, CreateTables(t.Context(), db, c))
		s := newSink(t, db, c)
		fresh := func() (ok bool) {
			require.NoError(t, db.QueryRow("SELECT at BETWEEN 1 AND "+now+" OR at BETWEEN '2026' AND "+now+" FROM views").Scan(&ok))
			return ok
		}
		require.NoError(t, s.Flush(t.Context(), flushOf("1", "a", 1)))
		require.True(t, fresh(), typ)
		run(t, db, "UPDATE views SET at = NULL")
		require.NoError(t, s.Flush(t.Context(), flushOf("2", "a", 1)))
		require.True(t, fresh(), typ)
	}
}

func TestACountThatIsNULLIsNoneYet(t *testing.T) {
	for merge, want := range map[store.Merge]int64{store.Sum: -5, store.Max: -5, store.Last: -5} {
		db := openNew(t)
		run(t, db, "CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER); INSERT INTO views (page) VALUES ('a')")
		c := views
		c.Merge = merge
		require.NoError(t, CreateTables(t.Context(), db, c))
		require.NoError(t, newSink(t, db, c).Flush(t.Context(), flushOf("1", "a", -5)))
		require.Equal(t, map[string]int64{"a": want}, counts(t, db), merge)
	}
}

func TestKeysThatAreTheSameToTheColumnShareARow(t *testing.T) {
	db := openNew(t)
	run(t, db, "CREATE TABLE views (page TEXT PRIMARY KEY COLLATE NOCASE, n INTEGER)")
	require.NoError(t, CreateTables(t.Context(), db, views))
	f := stat.Flush[string]{ID: "1", Deltas: []stat.Delta[string]{{Key: "a", N: 1}, {Key: "B", N: 2}, {Key: "A", N: 4}}}
	require.NoError(t, newSink(t, db, views).Flush(t.Context(), f))
	got := counts(t, db)
	require.Len(t, got, 2)
	require.EqualValues(t, 5, got["A"]+got["a"])
}

// TestG8_WhatIsCertain goes through the errors of which it is certain that nothing was stored, and those of which it is not.
func TestG8_WhatIsCertain(t *testing.T) {
	open := func(t *testing.T, table string) (*sql.DB, *Sink[string]) {
		db := openNew(t)
		run(t, db, table)
		require.NoError(t, CreateTables(t.Context(), db, views))
		return db, newSink(t, db, views)
	}
	const plain = "CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER)"
	nothing := func(t *testing.T, db *sql.DB) {
		var rows, ids int
		require.NoError(t, db.QueryRow("SELECT (SELECT count(*) FROM views), (SELECT count(*) FROM penstock_flushes)").Scan(&rows, &ids))
		require.Zero(t, rows+ids, "something was stored")
	}
	t.Run("a trigger that keeps rows out", func(t *testing.T) {
		db, s := open(t, plain+"; CREATE TRIGGER t BEFORE INSERT ON views WHEN new.page = 'b' BEGIN SELECT RAISE(IGNORE); END")
		f := stat.Flush[string]{ID: "1", Deltas: []stat.Delta[string]{{Key: "a", N: 1}, {Key: "b", N: 1}}}
		err := s.Flush(t.Context(), f)
		require.ErrorIs(t, err, stat.ErrNotStored)
		require.ErrorContains(t, err, "1 of 2 rows were written")
		nothing(t, db)
	})
	t.Run("a constraint that is looked at when it commits", func(t *testing.T) {
		db, s := open(t, `PRAGMA foreign_keys = ON; CREATE TABLE pages (page TEXT PRIMARY KEY);
			CREATE TABLE views (page TEXT PRIMARY KEY REFERENCES pages DEFERRABLE INITIALLY DEFERRED, n INTEGER)`)
		require.ErrorIs(t, s.Flush(t.Context(), flushOf("1", "a", 1)), stat.ErrNotStored)
		nothing(t, db)
		run(t, db, "INSERT INTO pages VALUES ('a')")
		require.NoError(t, s.Flush(t.Context(), flushOf("1", "a", 1)))
	})
	t.Run("a disk that is full", func(t *testing.T) {
		db, s := open(t, plain)
		var pages int
		require.NoError(t, db.QueryRow("PRAGMA page_count").Scan(&pages))
		run(t, db, "PRAGMA max_page_count = "+strconv.Itoa(pages))
		f := stat.Flush[string]{ID: "1"}
		for i := range 1000 {
			f.Deltas = append(f.Deltas, stat.Delta[string]{Key: string(rune(0x4e00 + i)), N: 1})
		}
		err := s.Flush(t.Context(), f)
		require.ErrorIs(t, err, stat.ErrNotStored)
		require.ErrorContains(t, err, "full")
		nothing(t, db)
		run(t, db, "PRAGMA max_page_count = 1000")
		require.NoError(t, s.Flush(t.Context(), f))
		require.Len(t, counts(t, db), 1000)
	})
	t.Run("a database that is closed, so nobody knows of attempts before", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x")
		db, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, CreateTables(t.Context(), db, views))
		s := newSink(t, db, views)
		require.NoError(t, db.Close())
		err = s.Flush(t.Context(), flushOf("1", "a", 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, stat.ErrNotStored)
	})
	t.Run("a context that ended before, so nobody knows either", func(t *testing.T) {
		db, s := open(t, plain)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.Flush(ctx, flushOf("1", "a", 1))
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, stat.ErrNotStored)
		nothing(t, db)
	})
}
