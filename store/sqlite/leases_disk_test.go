package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store"
)

// notes is what a database was told. It is a driver.Connector.
type notes struct {
	driver driver.Driver
	name   string

	mu   sync.Mutex
	said []string
}

func (n *notes) note(query string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, query)
}

// take returns what was said since, of that about commits and the disk.
func (n *notes) take() (said []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, query := range n.said {
		if strings.Contains(query, "synchronous") || query == "COMMIT" || query == "ROLLBACK" {
			said = append(said, query)
		}
	}
	n.said = nil
	return said
}

func (n *notes) Driver() driver.Driver { return n.driver }

func (n *notes) Connect(context.Context) (driver.Conn, error) {
	c, err := n.driver.Open(n.name)
	return notedConn{c, n}, err
}

// notedConn is a connection whose statements are noted.
type notedConn struct {
	driver.Conn
	notes *notes
}

func (c notedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.notes.note(query)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c notedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.notes.note(query)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// openNoted opens a file with a connection that notes what it is told.
func openNoted(t testing.TB, settings string) (*sql.DB, *notes) {
	path := filepath.Join(t.TempDir(), "leases.db")
	n := &notes{driver: openFile(t, path).Driver(), name: "file:" + path + settings}
	db := sql.OpenDB(n)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, n
}

// TestOnlyEpochsWaitForTheDisk looks at what the database is told: it waits for the disk as its owner wants it, when epochs are given, and
// not for what ends with the machine.
func TestOnlyEpochsWaitForTheDisk(t *testing.T) {
	const ask = `PRAGMA "main".synchronous`
	brief := []string{ask, ask + " = 1", "COMMIT", ask + " = 2"}
	db, said := openNoted(t, "?_synchronous=FULL")
	l := newLeases(t, db, store.LeaseTable{})
	said.take()
	renew(t, l, a1, time.Minute)
	require.Equal(t, brief, said.take())
	owned := take(t, l, a1, 1)
	require.Equal(t, []string{"COMMIT"}, said.take())
	require.NoError(t, l.Give(t.Context(), a1, owned))
	require.Equal(t, brief, said.take())
	ended, cancel := context.WithCancel(t.Context())
	l.clock.now = func() time.Duration { cancel(); return time.Hour } // in the transaction
	_, err := l.Renew(ended, a1, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
	failed := slices.Clone(brief)
	failed[2] = "ROLLBACK"
	require.Equal(t, failed, said.take(), "whatever becomes of it")
	l.clock.now = func() time.Duration { return time.Hour }
	require.NoError(t, l.Leave(t.Context(), a1))
	require.Equal(t, brief, said.take())

	db, said = openNoted(t, "?_synchronous=NORMAL")
	l = newLeases(t, db, store.LeaseTable{})
	said.take()
	renew(t, l, a1, time.Minute)
	require.Equal(t, []string{ask, "COMMIT"}, said.take(), "it waits for less already")

	db, said = openNoted(t, "?_journal_mode=DELETE&_synchronous=FULL")
	l = newLeases(t, db, store.LeaseTable{})
	said.take()
	renew(t, l, a1, time.Minute)
	require.Equal(t, []string{"COMMIT"}, said.take(), "there is no log")
}
