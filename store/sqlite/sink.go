package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"

	lib "modernc.org/sqlite/lib"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/backoff"
)

// Sink is a [stat.Sink] that stores counts in a table. It has no goroutine and nothing to be closed.
type Sink[K comparable] struct {
	db     *sql.DB
	layout *store.Layout[K]
	sql    statements
	turn   chan struct{} // holds something while a flush is written: the others wait for it here, not for SQLite's lock
	stored atomic.Uint64 // flushes that were begun
}

// New makes a sink of a database and the description of a table, which must be there ([CreateTables] can make it). The error
// names everything that is wrong with the description or the tables.
func New[K comparable](ctx context.Context, db *sql.DB, c store.Counts[K]) (*Sink[K], error) {
	layout, err := c.Layout()
	if err != nil {
		return nil, err
	}
	statements, err := check(ctx, db, layout)
	if err != nil {
		return nil, err
	}
	return &Sink[K]{db: db, layout: layout, sql: statements, turn: make(chan struct{}, 1)}, nil
}

// Keeps implements [stat.Keeper].
func (s *Sink[K]) Keeps() stat.Kind { return s.layout.Merge.Kind() }

// Flush stores a flush, once. It waits for others who write until its context ends. An error is a [stat.ErrNotStored] if it
// is certain that neither this attempt nor one before stored anything, which is when this one held the flush's ID and came
// not as far as its COMMIT, or when a constraint did not let it commit; after any other the same flush is to be repeated.
func (s *Sink[K]) Flush(ctx context.Context, f stat.Flush[K]) error {
	if err := store.CheckID(f.ID); err != nil {
		return err
	}
	if len(f.Deltas) == 0 {
		return nil
	}
	// Keys that the table cannot hold are an error only when it is known that the flush was not stored before.
	rows, bad := s.layout.Rows(f.Deltas)
	if err := s.flush(ctx, f.ID, rows, bad); err != nil {
		return fmt.Errorf("sqlite: flush %s of %d counts to %s: %w", f.ID, len(f.Deltas), s.layout.Table, err)
	}
	return nil
}

func (s *Sink[K]) flush(ctx context.Context, id string, rows []store.Row, bad error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	prune := (s.stored.Add(1)-1)%pruneEvery == 0
	for try := 1; ; try++ {
		err := s.attempt(ctx, id, rows, bad, prune)
		if !isBusy(err) {
			return err
		}
		if ended := backoff.Wait(ctx, try); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// attempt is one transaction.
func (s *Sink[K]) attempt(ctx context.Context, id string, rows []store.Row, bad error, prune bool) error {
	t, err := begin(ctx, s.db)
	if err != nil {
		return err
	}
	defer t.close()
	remembered, err := t.exec(ctx, s.sql.remember, id, s.layout.Counts)
	if err != nil {
		return err
	}
	if remembered == 0 {
		return nil // it was stored before
	}
	// From here on this transaction has the ID. An attempt that has it too, in its own, would have been waited for; one that
	// committed would be in the way. So if this one does not come to its COMMIT, nothing is stored.
	if err = bad; err == nil {
		err = s.write(ctx, t, rows)
	}
	if err == nil && prune {
		_, err = t.exec(ctx, s.sql.prune, int64(s.layout.Retain.Seconds()), pruneMost)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", stat.ErrNotStored, err)
	}
	err = t.commit(ctx)
	if code(err) == lib.SQLITE_CONSTRAINT {
		return fmt.Errorf("%w: %w", stat.ErrNotStored, err) // a deferred one; it leaves the transaction as it was, to be rolled back
	}
	return err
}

// write puts rows in, a statement's worth at a time.
func (s *Sink[K]) write(ctx context.Context, t *transaction, rows []store.Row) error {
	args := make([]any, 0, s.sql.rows*(len(s.layout.Keys)+1))
	var many *sql.Stmt
	if len(rows) >= s.sql.rows {
		var err error
		if many, err = t.conn.PrepareContext(ctx, s.sql.many); err != nil {
			return err
		}
		defer many.Close()
	}
	for len(rows) > 0 {
		n := min(len(rows), s.sql.rows)
		args = args[:0]
		for _, r := range rows[:n] {
			for _, v := range r.Key {
				args = append(args, argument(v))
			}
			args = append(args, r.N)
		}
		var result sql.Result
		var err error
		if n == s.sql.rows {
			result, err = many.ExecContext(ctx, args...)
		} else {
			result, err = t.conn.ExecContext(ctx, s.sql.upsert(n), args...)
		}
		if err != nil {
			return err
		}
		stored, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if stored != int64(n) {
			return fmt.Errorf("%d of %d rows were written; a trigger keeps the others out of %s", stored, n, s.layout.Table)
		}
		rows = rows[n:]
	}
	return nil
}

var _ stat.Sink[string] = (*Sink[string])(nil)
