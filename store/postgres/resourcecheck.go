package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store/internal/resource"
)

// checkResource lets PostgreSQL say whether it can run the statements, and whether it may.
func checkResource(ctx context.Context, pool *pgxpool.Pool, statements []resource.Statement) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer conn.Release()
	lax, err := checkCommit(ctx, conn, "saves")
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	errs := []error{lax}
	for _, s := range statements {
		errs = append(errs, checkSQL(ctx, conn, s))
	}
	if err := errors.Join(errs...); err != nil && conn.Conn().IsClosed() {
		return fmt.Errorf("postgres: %w", err) // which says nothing of the statements
	} else if err != nil {
		return fmt.Errorf("%w resource in PostgreSQL: %w", penstock.ErrInvalid, err)
	}
	return nil
}

func checkSQL(ctx context.Context, conn *pgxpool.Conn, s resource.Statement) error {
	about, err := conn.Conn().PgConn().Prepare(ctx, "", s.SQL, nil)
	if err != nil {
		return ofStatement(s, err)
	}
	if err := s.Check(len(about.ParamOIDs), len(about.Fields)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "EXPLAIN "+s.SQL, make([]any, s.Parameters)...) // it looks at permissions
	return ofStatement(s, err)
}

const undefinedColumn = "42703"

func ofStatement(s resource.Statement, err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(e.Code, "42") {
		help := ""
		if e.Code == undefinedColumn {
			help = s.Missing
		}
		return fmt.Errorf("%s: %s (SQLSTATE %s)%s", s.Field, e.Message, e.Code, help)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Field, err)
	}
	return nil
}
