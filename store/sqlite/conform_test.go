package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

// conform runs the suite with sinks of their own connections to a file each.
func conform(t *testing.T, open func(t testing.TB, path string) *sql.DB) {
	storetest.TestCounts(t, func(t testing.TB, merge store.Merge) storetest.Backend {
		path := filepath.Join(t.TempDir(), "counts.db")
		db, other := open(t, path), open(t, path)
		run(t, db, "CREATE TABLE views (page TEXT PRIMARY KEY CHECK (page <> 'refused'), n INTEGER NOT NULL)")
		c := views
		c.Merge, c.Retain = merge, time.Hour
		require.NoError(t, CreateTables(t.Context(), db, c))
		return storetest.Backend{
			Sink: newSink(t, db, c), Other: newSink(t, other, c), Retain: c.Retain,
			Counts: func(ctx context.Context) (map[string]int64, error) { return read(ctx, db, "SELECT page, n FROM views") },
			Block: func(ctx context.Context) (func() error, error) {
				conn, err := openFile(t, path).Conn(ctx)
				if err != nil {
					return nil, err
				}
				if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
					return nil, err
				}
				return func() error {
					_, err := conn.ExecContext(ctx, "ROLLBACK")
					return err
				}, err
			},
			IDs: func(ctx context.Context) (n int, err error) {
				err = db.QueryRowContext(ctx, "SELECT count(*) FROM penstock_flushes").Scan(&n)
				return n, err
			},
			Age: func(ctx context.Context, d time.Duration) error {
				_, err := db.ExecContext(ctx, "UPDATE penstock_flushes SET at = at - ?", int64(d.Seconds()))
				return err
			},
		}
	})
}

func TestG8_Conforms(t *testing.T) { conform(t, openFile) }

// TestG8_ConformsWithAnyDatabase runs the suite with what a user may open without thinking: several connections, no busy timeout, a
// rollback journal, transactions that begin deferred.
func TestG8_ConformsWithAnyDatabase(t *testing.T) {
	conform(t, func(t testing.TB, path string) *sql.DB {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	})
}
