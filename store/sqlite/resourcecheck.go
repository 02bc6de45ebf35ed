package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store/internal/resource"
)

// maxParameters is how many parameters a statement of SQLite has at most.
const maxParameters = 32_766

// checkResource lets SQLite say whether it can run the statements.
func checkResource(ctx context.Context, db *sql.DB, statements []resource.Statement) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer conn.Close()
	_, journal, err := checkJournal(ctx, conn, "")
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	errs := []error{journal}
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // EXPLAIN changes nothing, but there may be a second statement after a semicolon
	for _, s := range statements {
		err := patiently(ctx, func() error { return checkSQL(ctx, conn, s) })
		if ctx.Err() != nil {
			return fmt.Errorf("sqlite: %w", err) // which says nothing of the statements
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w resource in SQLite: %w", penstock.ErrInvalid, err)
	}
	return nil
}

// checkSQL counts a statement's parameters and columns. Of the parameters the greatest is what counts, be it as ?3 or as
// the third of them.
func checkSQL(ctx context.Context, conn *sql.Conn, s resource.Statement) error {
	columns, err := explain(ctx, conn, s.SQL, maxParameters)
	if err != nil && strings.Contains(err.Error(), "no such column") || err != nil && strings.Contains(err.Error(), "has no column") {
		return fmt.Errorf("%s: %w%s", s.Field, err, s.Missing)
	} else if err != nil {
		return fmt.Errorf("%s: %w", s.Field, err)
	}
	least, most := 0, maxParameters
	for least < most {
		middle := (least + most) / 2
		if _, err := explain(ctx, conn, s.SQL, middle); err == nil {
			most = middle
		} else if _, ok := errors.AsType[*sqlite.Error](err); ok || ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		} else {
			least = middle + 1
		}
	}
	return s.Check(least, columns)
}

// explain returns how many columns a statement returns, with as many parameters. It does not run.
func explain(ctx context.Context, conn *sql.Conn, statement string, parameters int) (columns int, err error) {
	rows, err := conn.QueryContext(ctx, "EXPLAIN "+statement, make([]any, parameters)...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var opcode string
		var p2 int
		var other any
		if err := rows.Scan(&other, &opcode, &other, &p2, &other, &other, &other, &other); err != nil {
			return 0, err
		}
		if strings.EqualFold(opcode, "ResultRow") {
			columns = max(columns, p2)
		}
	}
	return columns, rows.Err()
}
