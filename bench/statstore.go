package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
	"github.com/penstock-go/penstock/store/sqlite"
)

const (
	sqliteBar      = 2 * time.Second
	postgresBar    = 3 * time.Second
	postgresServer = "127.0.0.1:5432"
)

func statDueSQLite(ctx context.Context, s scale) ([]line, error) {
	return due(ctx, s, "into SQLite", sqliteBar, openSQLite)
}

func openSQLite(ctx context.Context, came *arrivals) (to destination, err error) {
	dir, err := os.MkdirTemp("", "penstock-bench")
	if err != nil {
		return to, err
	}
	db, err := sqlite.Open(filepath.Join(dir, "counts.db"))
	if err != nil {
		return to, errors.Join(err, os.RemoveAll(dir))
	}
	to.close = func() error { return errors.Join(db.Close(), os.RemoveAll(dir)) }
	views := store.Counts[string]{Table: "views", Keys: []string{"page"}}
	err = sqlite.CreateTables(ctx, db, views)
	var sink stat.Sink[string]
	if err == nil {
		sink, err = sqlite.New(ctx, db, views)
	}
	if err != nil {
		return to, errors.Join(err, to.close())
	}
	to.sink = watching{sink, came}
	to.check = func(ctx context.Context, keys, times int) error {
		return checkRows(db.QueryRowContext(ctx, rightRows("views", times)), keys)
	}
	return to, nil
}

func statDuePostgres(ctx context.Context, s scale) ([]line, error) {
	return duePostgresAt(ctx, s, postgresServer)
}

func postgresURL(server string) string {
	return "postgres://postgres@" + server + "/test?sslmode=disable&connect_timeout=10"
}

// duePostgresAt measures nothing, and says so, if there is no server.
func duePostgresAt(ctx context.Context, s scale, server string) ([]line, error) {
	pool, err := pgxpool.New(ctx, postgresURL(server))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err != nil {
		return []line{{
			what: "keys due at once, into PostgreSQL", ours: "no server", allocs: -1,
			note: fmt.Sprintf("it needs PostgreSQL at %s, with a database test and a user postgres who needs no password: %v", server, err),
		}}, nil
	}
	return due(ctx, s, "into PostgreSQL", postgresBar, func(ctx context.Context, came *arrivals) (destination, error) {
		return openPostgres(ctx, pool, came)
	})
}

func openPostgres(ctx context.Context, pool *pgxpool.Pool, came *arrivals) (to destination, err error) {
	schema := "penstock_bench_" + strings.ToLower(rand.Text())
	if _, err := pool.Exec(ctx, "CREATE SCHEMA "+store.Quote(schema)); err != nil {
		return to, err
	}
	to.close = func() error { // also when ctx has ended
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, err := pool.Exec(ctx, "DROP SCHEMA "+store.Quote(schema)+" CASCADE")
		return err
	}
	views := store.Counts[string]{Table: schema + ".views", Keys: []string{"page"}}
	err = postgres.CreateTables(ctx, pool, views)
	var sink stat.Sink[string]
	if err == nil {
		sink, err = postgres.New(ctx, pool, views)
	}
	if err != nil {
		return to, errors.Join(err, to.close())
	}
	to.sink = watching{sink, came}
	to.check = func(ctx context.Context, keys, times int) error {
		return checkRows(pool.QueryRow(ctx, rightRows(schema+".views", times)), keys)
	}
	return to, nil
}

// rightRows counts the rows, and those that hold times the amount of their key, in the SQL that SQLite and PostgreSQL share.
func rightRows(table string, times int) string {
	return fmt.Sprintf("SELECT count(*), count(CASE WHEN n = %d * (1 + CAST(substr(page, 6) AS integer) %% %d) THEN 1 END) FROM %s", times, amounts, table)
}

func checkRows(answer interface{ Scan(...any) error }, keys int) error {
	var rows, right int
	if err := answer.Scan(&rows, &right); err != nil {
		return err
	}
	if rows != keys || right != keys {
		return fmt.Errorf("of %d keys %d are stored, and %d have the right sum", keys, rows, right)
	}
	return nil
}
