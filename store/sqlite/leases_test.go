package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/storetest"
)

func newLeases(t testing.TB, db *sql.DB, at store.LeaseTable) *Leases {
	t.Helper()
	l, err := NewLeases(t.Context(), db, at)
	require.NoError(t, err)
	return l
}

// conformLeases runs the suite with clients that have a connection of their own each.
func conformLeases(t *testing.T, moved bool, open func(t testing.TB, path string) *sql.DB) {
	storetest.Leases(t, func(t testing.TB) storetest.LeasesBackend {
		path := filepath.Join(t.TempDir(), "leases.db")
		var advanced atomic.Int64
		b := storetest.LeasesBackend{
			Leases: func() lease.Store {
				l := newLeases(t, open(t, path), store.LeaseTable{})
				now := l.clock.now
				l.clock.now = func() time.Duration { return now() + time.Duration(advanced.Load()) }
				return l
			},
			Cut: func() func() {
				conn, err := openFile(t, path).Conn(context.Background())
				require.NoError(t, err)
				_, err = conn.ExecContext(context.Background(), "BEGIN IMMEDIATE")
				require.NoError(t, err)
				return func() {
					_, err := conn.ExecContext(context.Background(), "ROLLBACK")
					require.NoError(t, err)
					require.NoError(t, conn.Close())
				}
			},
		}
		if moved {
			b.Advance = func(d time.Duration) { advanced.Add(int64(d)) }
		}
		return b
	})
}

func TestG11_LeasesConform(t *testing.T) { conformLeases(t, true, openFile) }

// TestG11_LeasesConformInRealTime runs the suite with the machine's own clock.
func TestG11_LeasesConformInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for leases to end")
	}
	conformLeases(t, false, openFile)
}

// TestG11_LeasesConformWithAnyDatabase runs the suite with what a user may open without thinking.
func TestG11_LeasesConformWithAnyDatabase(t *testing.T) {
	conformLeases(t, true, func(t testing.TB, path string) *sql.DB {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	})
}
