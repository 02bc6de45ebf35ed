package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// transaction is one that holds SQLite's write lock. It is not a sql.Tx: that one is rolled back behind our back when its
// context ends, and then does not say whether it was.
type transaction struct {
	conn *sql.Conn
	over bool // committed or rolled back
}

func begin(ctx context.Context, db *sql.DB) (*transaction, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &transaction{conn: conn}
	if err := t.begin(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *transaction) begin(ctx context.Context) error {
	_, err := t.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	t.over = isBusy(err) // after a context's end the driver reports that, also when the transaction has begun
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *transaction) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.conn.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// commit commits. If somebody is in the way, or a constraint, the transaction is as it was. After any other error nobody knows:
// what a failed write left in the log may be found there after a crash.
func (t *transaction) commit(ctx context.Context) error {
	_, err := t.conn.ExecContext(ctx, "COMMIT")
	t.over = err == nil
	return err
}

// close rolls back what was not committed and gives the connection back.
func (t *transaction) close() {
	defer t.conn.Close()
	t.rollBack()
}

// rollBack rolls back what was not committed, and ends the connection if it is not known to be as it should.
func (t *transaction) rollBack() {
	if t.over {
		return
	}
	_, err := t.conn.ExecContext(context.Background(), "ROLLBACK")
	if err == nil || code(err) == lib.SQLITE_ERROR { // the latter is that there is no transaction
		return
	}
	bad(t.conn)
}

// bad ends a connection, rather than have somebody else use it.
func bad(conn *sql.Conn) { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }

// code is SQLite's primary result code of an error, and 0 if it has none.
func code(err error) int { return fullCode(err) & 0xff }

// fullCode is SQLite's extended result code of an error, and 0 if it has none.
func fullCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// isBusy reports whether others were in the way, so that a transaction did not begin, or did nothing and can be begun again.
func isBusy(err error) bool {
	c := code(err)
	return c == lib.SQLITE_BUSY || c == lib.SQLITE_LOCKED
}

// argument is a value of a [store.Row] as SQLite's date functions take it.
func argument(v any) any {
	if at, ok := v.(time.Time); ok {
		return at.UTC().Format("2006-01-02 15:04:05.999999999")
	}
	return v
}
