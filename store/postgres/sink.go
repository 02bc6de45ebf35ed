package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/backoff"
)

const (
	// maxRows is how many rows a statement writes, which bounds what is sent and parsed at once.
	maxRows = 10_000
	// pruneEvery is how many flushes come to one that deletes old IDs, and pruneMost how many it deletes: four times as many as
	// have come since, so that they do not pile up.
	pruneEvery = 64
	pruneMost  = 256
)

// Sink is a [stat.Sink] that stores counts in a table. It has no goroutine and nothing to be closed.
type Sink[K comparable] struct {
	pool    *pgxpool.Pool
	layout  *store.Layout[K]
	columns []column // of the keys
	sql     statements
	stored  atomic.Uint64 // flushes that were begun
}

// New makes a sink of a pool and the description of a table, which must be there ([CreateTables] can make it). The error
// names everything that is wrong with the description or the tables.
func New[K comparable](ctx context.Context, pool *pgxpool.Pool, c store.Counts[K]) (*Sink[K], error) {
	layout, err := c.Layout()
	if err != nil {
		return nil, err
	}
	s := &Sink[K]{pool: pool, layout: layout, sql: newStatements(layout)}
	if s.columns, err = check(ctx, pool, layout, &s.sql); err != nil {
		return nil, err
	}
	return s, nil
}

// Keeps implements [stat.Keeper].
func (s *Sink[K]) Keeps() stat.Kind { return s.layout.Merge.Kind() }

// Flush stores a flush, once. It waits for others who write the same rows until its context ends. An error is a
// [stat.ErrNotStored] if it is certain that neither this attempt nor one before stored anything, which is when this one held the
// flush's ID and came not as far as its COMMIT, or when the server refused to commit; after any other the same flush is
// to be repeated.
func (s *Sink[K]) Flush(ctx context.Context, f stat.Flush[K]) error {
	if err := store.CheckID(f.ID); err != nil {
		return err
	}
	if len(f.Deltas) == 0 {
		return nil
	}
	// Keys that the table cannot hold are an error only when it is known that the flush was not stored before.
	w := work{id: f.ID, most: maxRows, prune: (s.stored.Add(1)-1)%pruneEvery == 0}
	if w.rows, w.bad = s.layout.Rows(f.Deltas); w.bad == nil {
		w.bad = s.checkText(w.rows)
	}
	if err := s.flush(ctx, w); err != nil {
		return fmt.Errorf("postgres: flush %s of %d counts to %s: %w", f.ID, len(f.Deltas), s.layout.Table, err)
	}
	return nil
}

// work is a flush that is to be written.
type work struct {
	id    string
	rows  []store.Row
	bad   error // why the rows cannot be written
	most  int   // how many rows a statement may write
	prune bool
}

func (s *Sink[K]) flush(ctx context.Context, w work) error {
	for try := 1; ; try++ {
		err := s.attempt(ctx, w)
		switch state := sqlState(err); {
		case state == sameRowTwice && w.most > 1:
			w.most = 1 // keys that are different here are the same there, in a citext column for one
			continue
		case state != serializationFailure && state != deadlockDetected:
			return err
		}
		if ended := backoff.Wait(ctx, try); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// Errors' codes, SQLSTATE.
const (
	sameRowTwice         = "21000" // cardinality violation
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	completionUnknown    = "40003"
)

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// attempt is one transaction.
func (s *Sink[K]) attempt(ctx context.Context, w work) (err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	// Read committed, whatever the default is: waiting for another transaction with the same ID or rows is then all that it takes.
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return err
	}
	defer s.rollback(ctx, conn, tx)
	tag, err := tx.Exec(ctx, s.sql.remember, w.id, s.layout.Counts)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return nil // it was stored before
	}
	// From here on this transaction has the ID. An attempt before that sent its COMMIT had it too: it was waited for, and did not
	// commit. One that did not send it will not. So if this one does not come to its COMMIT, nothing is stored.
	if err = w.bad; err == nil {
		err = s.write(ctx, tx, w)
	}
	if err == nil && w.prune {
		_, err = tx.Exec(ctx, s.sql.prune, s.layout.Retain, pruneMost)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", stat.ErrNotStored, err)
	}
	return committed(tx.Commit(ctx))
}

// rollback ends a transaction that was not committed. If its context has ended, the connection is closed, without waiting.
func (s *Sink[K]) rollback(ctx context.Context, conn *pgxpool.Conn, tx pgx.Tx) {
	if conn.Conn().IsClosed() || conn.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	if err := tx.Rollback(ctx); err != nil {
		_ = conn.Conn().Close(ctx)
	}
}

// committed says of an error of a COMMIT whether it is certain that nothing was stored.
func committed(err error) error {
	if err != nil && refused(err) {
		return fmt.Errorf("%w: %w", stat.ErrNotStored, err)
	}
	return err
}

// refused reports of an error of a COMMIT whether it is certain that nothing was stored: when the server answered that it rolled
// back instead, or that a constraint or another transaction did not let it commit. Any other may come from a server, or
// somebody between, who had lost sight of the commit. [pgconn.SafeToRetry] is not asked: when a connection breaks while
// the answer to a COMMIT is waited for, pgx 5.12 reports that it was closed before anything was sent.
func refused(err error) bool {
	state := sqlState(err)
	return len(state) == 5 && (state[:2] == "23" || state[:2] == "40" && state != completionUnknown) || errors.Is(err, pgx.ErrTxCommitRollback)
}

// write puts rows in, a statement's worth at a time.
func (s *Sink[K]) write(ctx context.Context, tx pgx.Tx, w work) error {
	for rows := w.rows; len(rows) > 0; {
		n := min(len(rows), w.most)
		args, types := s.arguments(rows[:n])
		tag, err := tx.Exec(ctx, s.sql.upsert(s.columns, types), args...)
		if err != nil {
			return err
		}
		if stored := tag.RowsAffected(); stored != int64(n) {
			return fmt.Errorf("%d of %d rows were written; a trigger or rule keeps the others out of %s", stored, n, s.layout.Table)
		}
		rows = rows[n:]
	}
	return nil
}

var _ stat.Sink[string] = (*Sink[string])(nil)
