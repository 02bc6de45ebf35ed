package sqlite

import (
	"context"
	"database/sql"
	"errors"

	lib "modernc.org/sqlite/lib"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/backoff"
	"github.com/penstock-go/penstock/store/internal/resource"
)

// Resource loads values from rows and saves them, for a batch.Config. It has no goroutine and nothing to be closed.
type Resource[K comparable, R any] struct {
	engine *resource.Engine[K, R]
}

// NewResource makes a resource of a database and a description, whose table must be there. The error names everything that is
// wrong with the description or its SQL.
func NewResource[K comparable, R any](ctx context.Context, db *sql.DB, of store.Resource[K, R]) (*Resource[K, R], error) {
	engine, err := resource.New(&rows{db: db, turn: make(chan struct{}, 1)}, of)
	if err != nil {
		return nil, err
	}
	if err := checkResource(ctx, db, engine.Statements()); err != nil {
		return nil, err
	}
	return &Resource[K, R]{engine}, nil
}

// Load loads a key's value. The error is a [store.ErrMissing] if there is no row and no Insert, and a batch.ErrStaleEpoch if it was
// written under a later epoch than that of cluster.WithEpoch.
func (r *Resource[K, R]) Load(ctx context.Context, key K) (R, error) { return r.engine.Load(ctx, key) }

// Save saves a value that was loaded, and notes its row's version in it. The error is a batch.ErrConflict if somebody else has
// written or deleted the row since, a batch.ErrStaleEpoch if that was under a later epoch than that of cluster.WithEpoch, and a
// [store.ErrUnknown] if it may have been saved; after any other nothing was saved.
// It waits for others who write to the file until its context ends.
func (r *Resource[K, R]) Save(ctx context.Context, key K, value R) error {
	return r.engine.Save(ctx, key, value)
}

// LoadMany loads many keys' values on one connection: a value or an error for each, in their order.
func (r *Resource[K, R]) LoadMany(ctx context.Context, keys []K) ([]R, []error) {
	return r.engine.LoadMany(ctx, keys)
}

// SaveMany saves many values in one transaction: an error, or nil, for each key, in their order. What cannot be saved, because
// somebody else has written it or because the database refuses it, does not keep the others from being saved.
func (r *Resource[K, R]) SaveMany(ctx context.Context, keys []K, values []R) []error {
	return r.engine.SaveMany(ctx, keys, values)
}

// rows is a resource.Database.
type rows struct {
	db   *sql.DB
	turn chan struct{} // holds something while somebody saves: who waits for it waits in order, unlike who waits for SQLite's lock
}

func (d *rows) Name() string { return "sqlite" }

func (d *rows) IsDuplicate(err error) bool {
	c := fullCode(err)
	return c == lib.SQLITE_CONSTRAINT_UNIQUE || c == lib.SQLITE_CONSTRAINT_PRIMARYKEY || c == lib.SQLITE_CONSTRAINT_ROWID
}

func (d *rows) Load(ctx context.Context, query string, reads []*resource.Read) {
	err := d.on(ctx, query, len(reads), func(run queryer) {
		for _, r := range reads {
			r.Err = patiently(ctx, func() error {
				r.Found, r.Err = false, nil
				err := resource.Protect(func() error { return run(ctx, r.Args, r.Row) })
				if r.Err != nil {
					return r.Err
				}
				return err
			})
		}
	})
	if err != nil {
		for _, r := range reads {
			r.Err = err
		}
	}
}

// patiently does something again for as long as others are in the way, and the context has not ended.
func patiently(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if !isBusy(err) {
			return err
		}
		if ended := backoff.Wait(ctx, try); ended != nil {
			return errors.Join(ended, err)
		}
	}
}

// queryer runs a query and goes through its rows. The error of a scan is the row's own.
type queryer func(ctx context.Context, args []any, row func(scan func(dest ...any) error)) error

// on gives a connection's queryer of a query that is to be run n times.
func (d *rows) on(ctx context.Context, query string, n int, do func(queryer)) error {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var run queryer
	var done func()
	err = patiently(ctx, func() (err error) {
		run, done, err = prepare(ctx, conn, query, n)
		return err
	})
	if err != nil {
		return err
	}
	defer done()
	do(run)
	return nil
}

// prepare makes a queryer, of a prepared statement if it is to be run more than once.
func prepare(ctx context.Context, conn *sql.Conn, query string, n int) (run queryer, done func(), err error) {
	ask := func(ctx context.Context, args ...any) (*sql.Rows, error) {
		return conn.QueryContext(ctx, query, args...)
	}
	done = func() {}
	if n > 1 {
		prepared, err := conn.PrepareContext(ctx, query)
		if err != nil {
			return nil, nil, err
		}
		ask, done = prepared.QueryContext, func() { _ = prepared.Close() }
	}
	return func(ctx context.Context, args []any, row func(scan func(dest ...any) error)) error {
		found, err := ask(ctx, args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			row(func(dest ...any) error {
				for i, d := range dest {
					if d == nil {
						dest[i] = new(any)
					}
				}
				return found.Scan(dest...)
			})
		}
		return found.Err()
	}, done, nil
}

func (d *rows) Save(ctx context.Context, writes []*resource.Write) (resource.Outcome, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return resource.Failed, ctx.Err()
	}
	t, err := begin(ctx, d.db)
	if err != nil {
		return failure(err, resource.Failed), err
	}
	defer t.close()
	err = resource.Protect(func() error { return d.write(ctx, t, writes) })
	if ended := ctx.Err(); ended != nil {
		return resource.Failed, errors.Join(ended, err)
	}
	if err != nil {
		return failure(err, faulty(err)), err
	}
	written := false
	for _, w := range writes {
		written = written || w.Written
	}
	if !written {
		return resource.Stored, nil // there is nothing to be committed
	}
	if err := t.commit(ctx); err != nil && code(err) == lib.SQLITE_CONSTRAINT {
		return resource.Faulty, err // a deferred one; it leaves the transaction as it was, to be rolled back
	} else if err != nil {
		return failure(err, resource.Unknown), err
	}
	return resource.Stored, nil
}

// write runs the writes. The first one that fails ends it.
func (d *rows) write(ctx context.Context, t *transaction, writes []*resource.Write) error {
	prepared := make(map[string]queryer, 2)
	for _, w := range writes {
		run, ok := prepared[w.SQL]
		if !ok {
			var done func()
			var err error
			if run, done, err = prepare(ctx, t.conn, w.SQL, len(writes)); err != nil {
				return err // not the write's
			}
			defer done()
			prepared[w.SQL] = run
		}
		err := resource.Protect(func() error { return run(ctx, w.Args, w.Row) })
		if w.Err == nil && !isBusy(err) {
			w.Err = err
		}
		if err := errors.Join(err, w.Err); err != nil {
			return err
		}
	}
	return nil
}

// failure is what became of a transaction that failed, unless others were in the way.
func failure(err error, otherwise resource.Outcome) resource.Outcome {
	if isBusy(err) {
		return resource.Busy
	}
	return otherwise
}

// faulty tells whether an error before the COMMIT is about what was to be written, or about the file.
func faulty(err error) resource.Outcome {
	switch code(err) {
	case lib.SQLITE_ERROR, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_TOOBIG, lib.SQLITE_RANGE, 0: // 0: it has not come to SQLite
		return resource.Faulty
	}
	return resource.Failed
}
