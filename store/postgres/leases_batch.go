package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
)

// leaseBatch is a transaction that is sent as a whole, BEGIN and COMMIT included: so that no lock is ever held while the server waits
// for a client, who may have been stopped. After an error of its COMMIT nobody knows whether it was done.
type leaseBatch struct {
	pgx.Batch
	pool *pgxpool.Pool
}

// begin makes one. It is read committed, whatever the default is: a statement then sees what those did whose locks it, or one before,
// has waited for.
func (l *Leases) begin() *leaseBatch {
	b := &leaseBatch{pool: l.pool}
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	return b
}

// exec queues a statement and has it noted how many rows it wrote.
func (b *leaseBatch) exec(rows *int64, query string, args ...any) {
	b.Queue(query, args...).Exec(func(tag pgconn.CommandTag) error {
		*rows = tag.RowsAffected()
		return nil
	})
}

// query queues a statement and has each of its rows read.
func (b *leaseBatch) query(query string, args []any, row func(row pgx.Rows) error) {
	b.Queue(query, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (b *leaseBatch) run(ctx context.Context) error {
	b.Queue("COMMIT")
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := b.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	defer rollback(ctx, conn)
	err = conn.SendBatch(ctx, &b.Batch).Close()
	if ended := ctx.Err(); err != nil && ended != nil {
		return errors.Join(ended, err)
	}
	return err
}

// open makes the table if it is missing, and looks whether it is as it must be and whether the role may do what it has to.
func (l *Leases) open(ctx context.Context, table store.Name) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := l.create(ctx, conn, table); err != nil {
		return err
	}
	errs := []error{}
	lax, err := checkCommit(ctx, conn, "leases")
	if err != nil {
		return err
	}
	errs = append(errs, lax)
	const some = int64(1)
	for _, s := range []struct {
		statement string
		args      []any
	}{
		{l.sql.draw, []any{""}},
		{l.sql.mine, []any{"", "", ""}},
		{l.sql.lapse, []any{"", "", ""}},
		{l.sql.expire, []any{""}},
		{l.sql.prune, []any{"", some}},
		{l.sql.look, []any{"", "", ""}},
		{l.sql.join, []any{"", "", "", some, "", "", some}},
		{l.sql.renew, []any{"", "", "", some, "", "", some}},
		{l.sql.take, []any{"", "", "", []int32{}, "", some}},
		{l.sql.give, []any{"", "", "", []string{}, []int64{}}},
		{l.sql.leave, []any{"", "", "", "", "", some}},
	} {
		if err := checkStatement(ctx, conn, table, s.statement, []string{"cluster", "name", "incarnation"}, s.args); err != nil {
			errs = append(errs, err)
			break // the others would say the same
		}
	}
	if err := errors.Join(errs...); err != nil && conn.Conn().IsClosed() {
		return err // which says nothing of the table
	} else if err != nil {
		return fmt.Errorf("%w: %w", penstock.ErrInvalid, err)
	}
	return nil
}

// create makes the table if it is not there. Who may not make tables can have it made by somebody else.
func (l *Leases) create(ctx context.Context, conn *pgxpool.Conn, table store.Name) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Two who make the same table at once would trip over each other, IF NOT EXISTS or not.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('penstock: tables', 0))"); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table.SQL()).Scan(&there); err != nil || there {
			return err
		}
		_, err := tx.Exec(ctx, l.sql.create)
		return err
	})
}
