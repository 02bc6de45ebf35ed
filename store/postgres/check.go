package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
)

// column is what PostgreSQL knows of one.
type column struct {
	name     string
	typ      string // as SQL, without length or precision
	base     string // the same of what a domain is made of
	required bool   // an INSERT must name it
	uuid     bool
}

// check looks whether the tables are as the layout needs them, and returns the key columns.
func check[K comparable](ctx context.Context, pool *pgxpool.Pool, l *store.Layout[K], s *statements) ([]column, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	defer conn.Release()
	lax, err := checkCommit(ctx, conn, "counts")
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	errs := []error{lax}
	needed := l.Columns()
	if l.Updated != "" {
		needed = append(needed, l.Updated)
	}
	counts, err := checkColumns(ctx, conn, l.Table, needed)
	errs = append(errs, err, checkTypes(l, counts))
	var keys []column
	if err == nil {
		for _, k := range l.Keys {
			keys = append(keys, find(counts, k))
		}
		types := slices.Repeat([]string{"text"}, len(keys))
		args := make([]any, len(keys)+1)
		errs = append(errs, checkStatement(ctx, conn, l.Table, s.upsert(keys, types), l.Keys, args))
	}
	_, errFlushes := checkColumns(ctx, conn, l.Flushes, []string{"id", "counts", "at"})
	if errs = append(errs, errFlushes); errFlushes == nil {
		errs = append(errs, checkStatement(ctx, conn, l.Flushes, s.remember, []string{"id", "counts"}, []any{"", ""}))
	}
	if err := errors.Join(errs...); err != nil && conn.Conn().IsClosed() {
		return nil, fmt.Errorf("postgres: %w", err) // which says nothing of the tables
	} else if err != nil {
		return nil, fmt.Errorf("%w counts in PostgreSQL: %w", penstock.ErrInvalid, err)
	}
	return keys, nil
}

// checkCommit returns what is wrong if the server answers a COMMIT before it is on disk.
func checkCommit(ctx context.Context, conn *pgxpool.Conn, what string) (wrong, err error) {
	var mode string
	if err := conn.QueryRow(ctx, "SELECT current_setting('synchronous_commit')").Scan(&mode); err != nil {
		return nil, err
	}
	if mode == "off" {
		return fmt.Errorf("synchronous_commit is off, so that a crash of the server would lose %s that it said were stored;"+
			" it takes on, local, remote_write or remote_apply, in the connection string for one: ?synchronous_commit=on", what), nil
	}
	return nil, nil
}

func find(columns []column, name string) column {
	i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
	if i < 0 {
		return column{}
	}
	return columns[i]
}

// checkTypes looks at the columns that get numbers and times.
func checkTypes[K comparable](l *store.Layout[K], columns []column) error {
	var errs []error
	takes := func(name, what string, types ...string) {
		if c := find(columns, name); c.name != "" && !slices.Contains(types, c.base) {
			errs = append(errs, fmt.Errorf("table %s: column %q is of type %s; it takes %s", l.Table, name, c.typ, what))
		}
	}
	takes(l.Value, "bigint or numeric", "bigint", "numeric")
	if l.Updated != "" {
		takes(l.Updated, "timestamptz, timestamp or date", timeTypes...)
	}
	return errors.Join(errs...)
}

// Of a type without length or precision format_type(oid, NULL) gives names that mean one of length 1 when they are read again
// (character, bit); with -1 it does not.
const columnsQuery = `
WITH RECURSIVE base (attnum, typ) AS (
	SELECT attnum, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
	UNION ALL
	SELECT attnum, typbasetype FROM base JOIN pg_type ON pg_type.oid = typ WHERE typtype = 'd'
)
SELECT a.attname, format_type(a.atttypid, -1), format_type(base.typ, -1),
	a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AND t.typdefault IS NULL
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN base ON base.attnum = a.attnum JOIN pg_type b ON b.oid = base.typ AND b.typtype <> 'd'
WHERE a.attrelid = $1 ORDER BY a.attnum`

// checkColumns returns a table's columns, and an error if some are missing or there are others that must be filled in.
func checkColumns(ctx context.Context, conn *pgxpool.Conn, table store.Name, needed []string) ([]column, error) {
	var oid *uint32
	if err := conn.QueryRow(ctx, "SELECT to_regclass($1)::oid", table.SQL()).Scan(&oid); err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	if oid == nil {
		return nil, fmt.Errorf("there is no table %s; postgres.CreateTables can make it", table)
	}
	rows, err := conn.Query(ctx, columnsQuery, *oid)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		err = row.Scan(&c.name, &c.typ, &c.base, &c.required)
		c.uuid = c.base == "uuid"
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	var errs []error
	for _, n := range needed {
		if find(columns, n).name == "" {
			errs = append(errs, fmt.Errorf("table %s has no column %q", table, n))
		}
	}
	for _, c := range columns {
		if c.required && !slices.Contains(needed, c.name) {
			errs = append(errs, fmt.Errorf("table %s: column %q is NOT NULL and has no default, and is none that a flush fills in", table, c.name))
		}
	}
	return columns, errors.Join(errs...)
}

// checkStatement lets PostgreSQL say whether it can run a statement, and whether it may: EXPLAIN looks at permissions too, and
// for the unique index that ON CONFLICT needs.
func checkStatement(ctx context.Context, conn *pgxpool.Conn, table store.Name, statement string, keys []string, args []any) error {
	_, err := conn.Exec(ctx, "EXPLAIN "+statement, args...)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P10" {
		return fmt.Errorf("table %s has no primary key or unique index over exactly (%s)", table, store.QuoteAll(keys))
	} else if ok && strings.HasPrefix(e.Code, "42") {
		return fmt.Errorf("table %s: %s (SQLSTATE %s)", table, e.Message, e.Code)
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", table, err)
	}
	return nil
}
