package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
)

func TestTablesThatWillNotDo(t *testing.T) {
	const flushes = "CREATE TABLE penstock_flushes (id TEXT, counts TEXT, at INTEGER, PRIMARY KEY (id, counts));"
	for name, c := range map[string]struct {
		script string
		counts store.Counts[string]
		errors []string
	}{
		"there is none": {"", views, []string{"there is no table views; sqlite.CreateTables can make it", "there is no table penstock_flushes"}},
		"columns are missing": {"CREATE TABLE views (x TEXT); CREATE TABLE penstock_flushes (id TEXT)",
			store.Counts[string]{Table: "views", Keys: []string{"page"}, Updated: "at"}, []string{
				`table views has no column "page"`, `table views has no column "n"`, `table views has no column "at"`,
				`table penstock_flushes has no column "counts"`, `table penstock_flushes has no column "at"`}},
		"no unique index": {"CREATE TABLE views (page TEXT, n INTEGER);" + flushes, views,
			[]string{`table views has no primary key or unique index over exactly ("page")`}},
		"a unique index over more": {"CREATE TABLE views (page TEXT, day TEXT, n INTEGER, PRIMARY KEY (page, day));" + flushes, views,
			[]string{"no primary key or unique index over exactly"}},
		"a unique index over a part": {"CREATE TABLE views (page TEXT, n INTEGER); CREATE UNIQUE INDEX u ON views (page) WHERE n > 0;" + flushes, views,
			[]string{"no primary key or unique index over exactly"}},
		"IDs are not unique": {"CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER); CREATE TABLE penstock_flushes (id TEXT PRIMARY KEY, counts TEXT, at INTEGER)",
			views, []string{`table penstock_flushes has no primary key or unique index over exactly ("id", "counts")`}},
		"a count that is text": {"CREATE TABLE views (page TEXT PRIMARY KEY, n TEXT);" + flushes, views,
			[]string{`column "n" is declared "TEXT"; it takes INTEGER`}},
		"another column to fill in": {"CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER, who TEXT NOT NULL);" + flushes, views,
			[]string{`column "who" is NOT NULL and has no default`}},
		"a view":         {"CREATE TABLE v (page TEXT PRIMARY KEY, n INTEGER); CREATE VIEW views AS SELECT * FROM v;" + flushes, views, []string{"views"}},
		"another file":   {"CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER);" + flushes, store.Counts[string]{Table: "main.views", Keys: []string{"page"}, Flushes: "temp.f"}, []string{"different schemas"}},
		"no such schema": {"", store.Counts[string]{Table: "stats.views", Keys: []string{"page"}}, []string{`there is no schema "stats"`}},
		"no journal":     {"CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER);" + flushes + "PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF", views, []string{"journal_mode is off"}},
		"a journal in memory": {"CREATE TABLE views (page TEXT PRIMARY KEY, n INTEGER);" + flushes + "PRAGMA journal_mode = DELETE; PRAGMA journal_mode = MEMORY", views,
			[]string{"journal_mode is memory"}},
		"a bad description": {"", store.Counts[string]{}, []string{"Table is", "Keys has 0 columns"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			run(t, db, c.script)
			_, err := New(t.Context(), db, c.counts)
			require.ErrorIs(t, err, penstock.ErrInvalid)
			for _, text := range c.errors {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestTablesThatWillDo(t *testing.T) {
	for _, table := range []string{
		"CREATE TABLE views (page TEXT UNIQUE, n INT)",
		"CREATE TABLE views (PAGE TEXT, N UNSIGNED BIG INT DEFAULT 0, id INTEGER PRIMARY KEY, who TEXT NOT NULL DEFAULT 'x', double INT AS (n * 2)); CREATE UNIQUE INDEX u ON views (page)",
		"CREATE TABLE views (page ANY PRIMARY KEY, n INTEGER) STRICT, WITHOUT ROWID",
	} {
		db := openNew(t)
		run(t, db, table)
		require.NoError(t, CreateTables(t.Context(), db, views))
		require.NoError(t, newSink(t, db, views).Flush(t.Context(), flushOf("1", "a", 3)))
		require.Equal(t, map[string]int64{"a": 3}, counts(t, db), table)
	}
}

func TestADatabaseInMemoryWillDo(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	defer db.Close()
	require.NoError(t, CreateTables(t.Context(), db, views))
	require.NoError(t, newSink(t, db, views).Flush(t.Context(), flushOf("1", "a", 3)))
	require.Equal(t, map[string]int64{"a": 3}, counts(t, db))
}

func TestCreateTablesNeedsTypes(t *testing.T) {
	db := openNew(t)
	c := views
	c.Split = func(k string) []any { return []any{strings.Split(k, "/")[1]} }
	err := CreateTables(t.Context(), db, c)
	require.ErrorContains(t, err, "cannot tell the types of the key columns of views: calling Split with the zero key panicked")
	require.ErrorIs(t, CreateTables(t.Context(), db, store.Counts[string]{}), penstock.ErrInvalid)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, CreateTables(ended, db, views), context.Canceled)
	_, err = New(ended, db, views)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, penstock.ErrInvalid)
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", ":memory:", "a\x00b"} {
		_, err := Open(path)
		require.ErrorContains(t, err, "it takes the path of a file")
	}
	_, err := Open(filepath.Join(dir, "none", "x"))
	require.ErrorContains(t, err, "none")
	for _, name := range []string{"a b", "50%41", "q?mode=ro", "h#x", "日本", "_pragma=x&y"} {
		path := filepath.Join(dir, name)
		db := openFile(t, path)
		run(t, db, "CREATE TABLE x (y)")
		var mode string
		var synchronous, busy int
		require.NoError(t, db.QueryRow("PRAGMA journal_mode").Scan(&mode))
		require.NoError(t, db.QueryRow("PRAGMA synchronous").Scan(&synchronous))
		require.NoError(t, db.QueryRow("PRAGMA busy_timeout").Scan(&busy))
		require.Equal(t, "wal", mode)
		require.Equal(t, 2, synchronous, "FULL")
		require.Equal(t, 5000, busy)
		require.FileExists(t, path)
	}
}

// TestManyOpenANewFileAtOnce, of whom one sets up its log.
func TestManyOpenANewFileAtOnce(t *testing.T) {
	for i := range 30 {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				db, err := Open(path)
				if assert.NoError(t, err) {
					assert.NoError(t, db.Close())
				}
			})
		}
		all.Wait()
	}
}

// TestOpenWaitsForWhoWrites a file that has no log yet: SQLite does not.
func TestOpenWaitsForWhoWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	writer, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer writer.Close()
	writer.SetMaxOpenConns(1)
	run(t, writer, "CREATE TABLE x (y); BEGIN IMMEDIATE; INSERT INTO x VALUES (1)")
	time.AfterFunc(100*time.Millisecond, func() { _, _ = writer.Exec("COMMIT") })
	db, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
