package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

// openFile opens a file as [Open] does, and closes it with the test.
func openFile(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openNew(t testing.TB) *sql.DB {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "counts.db"))
}

func run(t testing.TB, db *sql.DB, script string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(context.Background(), script, args...)
	require.NoError(t, err)
}

func newSink[K comparable](t testing.TB, db *sql.DB, c store.Counts[K]) *Sink[K] {
	t.Helper()
	s, err := New(context.Background(), db, c)
	require.NoError(t, err)
	return s
}

// read returns the rows of a query of a key and a count.
func read(ctx context.Context, db *sql.DB, query string) (map[string]int64, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := make(map[string]int64)
	for rows.Next() {
		var k string
		var n int64
		if err := rows.Scan(&k, &n); err != nil {
			return nil, err
		}
		counts[k] = n
	}
	return counts, rows.Err()
}

func counts(t testing.TB, db *sql.DB) map[string]int64 {
	t.Helper()
	got, err := read(context.Background(), db, "SELECT page, n FROM views")
	require.NoError(t, err)
	return got
}

func flushOf(id string, key string, n int64) stat.Flush[string] {
	return stat.Flush[string]{ID: id, Deltas: []stat.Delta[string]{{Key: key, N: n}}}
}

var views = store.Counts[string]{Table: "views", Keys: []string{"page"}}
