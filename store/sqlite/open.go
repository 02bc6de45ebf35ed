package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Open opens a file, making it if there is none, with what a sink wants:
//
//   - a write-ahead log, so that who reads the file does not stand in a flush's way;
//   - synchronous=FULL: a commit is answered when the log is on disk. NORMAL would survive kill −9 too, but not the loss of power,
//     and it would save a third of a flush's time, not more;
//   - one connection: SQLite lets one write at a time anyway, and who waits for a connection waits in order, which who waits
//     for SQLite's lock does not;
//   - a busy timeout of 5 s for other processes' writing; BEGIN takes the write lock at once.
//
// Who wants to read while flushes are written opens the file a second time. Any other *sql.DB of modernc.org/sqlite will do for
// a sink too.
func Open(path string) (*sql.DB, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.Contains(path, "\x00") {
		return nil, fmt.Errorf("sqlite: path is %q; it takes the path of a file", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: path %q: %w", path, err)
	}
	if abs = filepath.ToSlash(abs); !strings.HasPrefix(abs, "/") {
		abs = "/" + abs // C:/…
	}
	name := url.URL{Scheme: "file", Path: abs, RawQuery: fmt.Sprintf(
		"_busy_timeout=%d&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate", busyTimeout.Milliseconds())}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %q: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	// Processes that open a new file at once are in each other's way when they set up the log, and SQLite does not have them wait.
	ctx, cancel := context.WithTimeout(context.Background(), busyTimeout)
	defer cancel()
	if err := patiently(ctx, func() error { return db.PingContext(ctx) }); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %q: %w", path, err), db.Close())
	}
	return db, nil
}

const busyTimeout = 5 * time.Second
