package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
)

// column is what SQLite knows of one.
type column struct {
	name, typ string
	required  bool // an INSERT must name it
}

// integer reports whether what is put into the column stays an integer, by SQLite's rules of affinity.
func (c column) integer() bool { return strings.Contains(strings.ToUpper(c.typ), "INT") }

// check looks whether the tables are as the layout needs them, and returns the statements that write to them.
func check[K comparable](ctx context.Context, db *sql.DB, l *store.Layout[K]) (statements, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return statements{}, fmt.Errorf("sqlite: %w", err)
	}
	defer conn.Close()
	var errs []error
	if !strings.EqualFold(l.Table.Schema, l.Flushes.Schema) {
		errs = append(errs, fmt.Errorf("tables %s and %s are in different schemas; they must be in one file, for one commit", l.Table, l.Flushes))
	}
	_, journal, err := checkJournal(ctx, conn, l.Table.Schema)
	if err != nil {
		return statements{}, fmt.Errorf("sqlite: %w", err)
	}
	needed := l.Columns()
	if l.Updated != "" {
		needed = append(needed, l.Updated)
	}
	counts, err := checkColumns(ctx, conn, l.Table, needed)
	errs = append(errs, journal, err)
	now := "datetime('now')"
	for _, c := range counts {
		if strings.EqualFold(c.name, l.Value) && !c.integer() {
			errs = append(errs, fmt.Errorf("table %s: column %q is declared %q; it takes INTEGER", l.Table, c.name, c.typ))
		}
		if strings.EqualFold(c.name, l.Updated) && c.integer() {
			now = "unixepoch()"
		}
	}
	_, errFlushes := checkColumns(ctx, conn, l.Flushes, []string{"id", "counts", "at"})
	s := newStatements(l, now)
	if err == nil {
		err = checkStatement(ctx, conn, l.Table, s.upsert(1), l.Keys)
		errs = append(errs, err)
	}
	if errs = append(errs, errFlushes); errFlushes == nil {
		errs = append(errs, checkStatement(ctx, conn, l.Flushes, s.remember, []string{"id", "counts"}))
	}
	if err := errors.Join(errs...); err != nil {
		return statements{}, fmt.Errorf("%w counts in SQLite: %w", penstock.ErrInvalid, err)
	}
	return s, nil
}

// checkJournal returns the mode of the database's journal, and what is wrong with it: without one on disk nothing is left as it was after
// a crash, and without any nothing after an error.
func checkJournal(ctx context.Context, conn *sql.Conn, schema string) (mode string, wrong, err error) {
	if schema == "" {
		schema = "main"
	}
	var file string
	err = conn.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = ? COLLATE NOCASE", schema).Scan(&file)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("there is no schema %q", schema), nil
	}
	if err == nil {
		err = conn.QueryRowContext(ctx, "PRAGMA "+store.Quote(schema)+".journal_mode").Scan(&mode)
	}
	if err != nil {
		return "", nil, err
	}
	if mode == "off" || mode == "memory" && file != "" {
		wrong = fmt.Errorf("the database's journal_mode is %s; it takes wal, delete, truncate or persist", mode)
	}
	return mode, wrong, nil
}

// checkColumns returns a table's columns, and an error if some are missing or there are others that must be filled in.
func checkColumns(ctx context.Context, conn *sql.Conn, table store.Name, needed []string) ([]column, error) {
	query, args := `SELECT name, type, "notnull" AND dflt_value IS NULL AND pk = 0 AND hidden = 0 FROM pragma_table_xinfo(?`, []any{table.Table}
	if table.Schema != "" {
		query, args = query+", ?", append(args, table.Schema)
	}
	rows, err := conn.QueryContext(ctx, query+")", args...)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	defer rows.Close()
	var columns []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.typ, &c.required); err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("there is no table %s; sqlite.CreateTables can make it", table)
	}
	var errs []error
	for _, n := range needed {
		if !slices.ContainsFunc(columns, func(c column) bool { return strings.EqualFold(c.name, n) }) {
			errs = append(errs, fmt.Errorf("table %s has no column %q", table, n))
		}
	}
	for _, c := range columns {
		if c.required && !slices.ContainsFunc(needed, func(n string) bool { return strings.EqualFold(c.name, n) }) {
			errs = append(errs, fmt.Errorf("table %s: column %q is NOT NULL and has no default, and is none that a flush fills in", table, c.name))
		}
	}
	return columns, errors.Join(errs...)
}

// checkStatement lets SQLite say whether it can run a statement, which it cannot without a unique index for ON CONFLICT.
func checkStatement(ctx context.Context, conn *sql.Conn, table store.Name, statement string, keys []string) error {
	prepared, err := conn.PrepareContext(ctx, statement)
	switch {
	case err == nil:
		return prepared.Close()
	case strings.Contains(err.Error(), "ON CONFLICT clause does not match"):
		return fmt.Errorf("table %s has no primary key or unique index over exactly (%s)", table, store.QuoteAll(keys))
	}
	return fmt.Errorf("table %s: %w", table, err)
}
