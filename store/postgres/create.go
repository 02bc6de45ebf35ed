package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/store"
)

// CreateTables makes the tables of a description that are missing, and leaves those that are there. The key columns' types
// are those of the values that Split makes of the zero key; if it makes none, or if you want others, make the table yourself.
func CreateTables[K comparable](ctx context.Context, pool *pgxpool.Pool, c store.Counts[K]) error {
	l, err := c.Layout()
	if err != nil {
		return err
	}
	script, err := tables(l)
	if err != nil {
		return fmt.Errorf("postgres: cannot tell the types of the key columns of %s: %w", l.Table, err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Two who make the same table at once would trip over each other, IF NOT EXISTS or not.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('penstock: tables', 0))"); err != nil {
			return err
		}
		for _, statement := range script {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("postgres: make tables %s and %s: %w", l.Table, l.Flushes, err)
	}
	return nil
}

// tables are the statements that make a layout's tables.
func tables[K comparable](l *store.Layout[K]) ([]string, error) {
	zero, err := l.Zero()
	if err != nil {
		return nil, err
	}
	var columns []string
	for i, k := range l.Keys {
		columns = append(columns, store.Quote(k)+" "+columnType(zero[i])+" NOT NULL")
	}
	columns = append(columns, store.Quote(l.Value)+" bigint NOT NULL")
	if l.Updated != "" {
		columns = append(columns, store.Quote(l.Updated)+" timestamptz NOT NULL")
	}
	index := l.Flushes.Table
	if most := 60; len(index) > most {
		index = strings.ToValidUTF8(index[:most], "")
	}
	return []string{
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s, PRIMARY KEY (%s))", l.Table.SQL(), strings.Join(columns, ", "), store.QuoteAll(l.Keys)),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (id text NOT NULL, counts text NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, counts))",
			l.Flushes.SQL()),
		fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (at)", store.Quote(index+"_at"), l.Flushes.SQL()),
	}, nil
}

func columnType(v any) string {
	switch v := v.(type) {
	case int64:
		return "bigint"
	case bool:
		return "boolean"
	case float64:
		return "double precision"
	case []byte:
		if len(v) == 16 {
			return "uuid"
		}
		return "bytea"
	case time.Time:
		return "timestamptz"
	case string:
		return "text"
	}
	panic(fmt.Sprintf("postgres: a key's value is a %T", v))
}
