package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/internal/resource"
)

// Resource loads values from rows and saves them, for a batch.Config. It has no goroutine and nothing to be closed.
type Resource[K comparable, R any] struct {
	engine *resource.Engine[K, R]
}

// NewResource makes a resource of a pool and a description, whose table must be there. The error names everything that is wrong
// with the description or its SQL.
func NewResource[K comparable, R any](ctx context.Context, pool *pgxpool.Pool, of store.Resource[K, R]) (*Resource[K, R], error) {
	engine, err := resource.New(&rows{pool}, of)
	if err != nil {
		return nil, err
	}
	if err := checkResource(ctx, pool, engine.Statements()); err != nil {
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
// It waits for others who write the same row until its context ends.
func (r *Resource[K, R]) Save(ctx context.Context, key K, value R) error {
	return r.engine.Save(ctx, key, value)
}

// LoadMany loads many keys' values in one round trip: a value or an error for each, in their order.
func (r *Resource[K, R]) LoadMany(ctx context.Context, keys []K) ([]R, []error) {
	return r.engine.LoadMany(ctx, keys)
}

// SaveMany saves many values in one transaction: an error, or nil, for each key, in their order. What cannot be saved, because
// somebody else has written it or because the database refuses it, does not keep the others from being saved.
func (r *Resource[K, R]) SaveMany(ctx context.Context, keys []K, values []R) []error {
	return r.engine.SaveMany(ctx, keys, values)
}

// rows is a resource.Database.
type rows struct{ pool *pgxpool.Pool }

func (d *rows) Name() string { return "postgres" }

func (d *rows) IsDuplicate(err error) bool { return sqlState(err) == "23505" }

func (d *rows) Load(ctx context.Context, query string, reads []*resource.Read) {
	all := func(conn *pgxpool.Conn) error { return d.loadAll(ctx, conn, query, reads) }
	// One by one: a query that fails fails all that are sent with it, and may take the connection with it.
	single := func(conn *pgxpool.Conn) error {
		for _, r := range reads {
			r.Found, r.Err = false, nil
			err := resource.Protect(func() error {
				found, err := conn.Query(ctx, query, r.Args...)
				return each(found, err, r.Row)
			})
			if r.Err == nil {
				r.Err = err
			}
		}
		return nil
	}
	first := all
	if len(reads) == 1 {
		first = single
	}
	connected, err := d.with(ctx, first)
	if connected && err != nil {
		_, err = d.with(ctx, single)
	}
	if err != nil {
		for _, r := range reads {
			r.Err = err
		}
	}
}

// with does something with a connection. It is not connected if there was none.
func (d *rows) with(ctx context.Context, do func(conn *pgxpool.Conn) error) (connected bool, err error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	return true, resource.Protect(func() error { return do(conn) })
}

// loadAll runs all queries in one round trip. The error is that some were not run.
func (d *rows) loadAll(ctx context.Context, conn *pgxpool.Conn, query string, reads []*resource.Read) error {
	b := &pgx.Batch{}
	for _, r := range reads {
		b.Queue(query, r.Args...)
	}
	results := conn.SendBatch(ctx, b)
	defer results.Close()
	for _, r := range reads {
		found, err := results.Query()
		if err := each(found, err, r.Row); err != nil && r.Err == nil {
			return err
		}
	}
	return results.Close()
}

// each goes through the rows of a result. The error of a scan is the row's own.
func each(found pgx.Rows, err error, row func(scan func(dest ...any) error)) error {
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		row(found.Scan)
	}
	return found.Err()
}

func (d *rows) Save(ctx context.Context, writes []*resource.Write) (resource.Outcome, error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return resource.Failed, err
	}
	defer conn.Release()
	defer rollback(ctx, conn)
	err = resource.Protect(func() error { return d.write(ctx, conn, writes) })
	if ended := ctx.Err(); ended != nil {
		return resource.Failed, errors.Join(ended, err)
	}
	if err != nil {
		return failure(conn, err), err
	}
	for _, w := range writes {
		if w.Written {
			return commit(ctx, conn)
		}
	}
	return resource.Stored, nil // there is nothing to be committed
}

// write runs the writes in a transaction that it begins, all in one round trip. It is read committed, whatever the default is: a
// statement that has waited for another transaction then sees the row as that one left it.
func (d *rows) write(ctx context.Context, conn *pgxpool.Conn, writes []*resource.Write) error {
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	for _, w := range writes {
		b.Queue(w.SQL, w.Args...)
	}
	results := conn.SendBatch(ctx, b)
	defer results.Close()
	if _, err := results.Exec(); err != nil {
		return err
	}
	for _, w := range writes {
		written, err := results.Query()
		if err := each(written, err, w.Row); err != nil && w.Err == nil {
			w.Err = err
		}
		if w.Err != nil {
			return w.Err
		}
	}
	return results.Close()
}

// failure says what an error before the COMMIT is about: others, what was to be written, or what has nothing to do with it.
func failure(conn *pgxpool.Conn, err error) resource.Outcome {
	state := sqlState(err)
	switch {
	case state == serializationFailure || state == deadlockDetected:
		return resource.Busy
	case errors.As(err, new(pgx.ErrPreprocessingBatch)) && state == "":
		return resource.Faulty // what cannot be sent, which takes the connection with it
	case conn.Conn().IsClosed(), state != "" && strings.Contains("0A 25 26 28 42 53 58 XX", state[:2]):
		return resource.Failed // the connection, the table, permissions, the server
	}
	return resource.Faulty
}

// commit commits. Of which errors it is certain that nothing was stored is said at [refused].
func commit(ctx context.Context, conn *pgxpool.Conn) (resource.Outcome, error) {
	tag, err := conn.Exec(ctx, "COMMIT")
	if err == nil && tag.String() == "ROLLBACK" {
		err = pgx.ErrTxCommitRollback
	}
	if err == nil {
		return resource.Stored, nil
	}
	switch state := sqlState(err); {
	case !refused(err):
		return resource.Unknown, err
	case state == serializationFailure || state == deadlockDetected:
		return resource.Busy, err
	}
	return resource.Faulty, err
}

// rollback ends a transaction that is not committed. If its context has ended, the connection is closed, without waiting.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	if c := conn.Conn(); !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
		if _, err := c.Exec(ctx, "ROLLBACK"); err != nil {
			_ = c.Close(ctx)
		}
	}
}
