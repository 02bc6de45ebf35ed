package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-go/penstock/store"
)

// CreateTables makes the tables of a description that are missing, and leaves those that are there. The key columns' types
// are those of the values that Split makes of the zero key; if it makes none, make the table yourself.
func CreateTables[K comparable](ctx context.Context, db *sql.DB, c store.Counts[K]) error {
	l, err := c.Layout()
	if err != nil {
		return err
	}
	script, err := tables(l)
	if err != nil {
		return fmt.Errorf("sqlite: cannot tell the types of the key columns of %s: %w", l.Table, err)
	}
	if err := create(ctx, db, script); err != nil {
		return fmt.Errorf("sqlite: make tables %s and %s: %w", l.Table, l.Flushes, err)
	}
	return nil
}

func create(ctx context.Context, db *sql.DB, script []string) error {
	t, err := begin(ctx, db)
	if err != nil {
		return err
	}
	defer t.close()
	for _, statement := range script {
		if _, err := t.exec(ctx, statement); err != nil {
			return err
		}
	}
	return t.commit(ctx)
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
	columns = append(columns, store.Quote(l.Value)+" INTEGER NOT NULL")
	if l.Updated != "" {
		columns = append(columns, store.Quote(l.Updated)+" TEXT NOT NULL")
	}
	index := store.Name{Schema: l.Flushes.Schema, Table: l.Flushes.Table + "_at"}
	return []string{
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s, PRIMARY KEY (%s)) WITHOUT ROWID", l.Table.SQL(), strings.Join(columns, ", "), store.QuoteAll(l.Keys)),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (id TEXT NOT NULL, counts TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (id, counts)) WITHOUT ROWID",
			l.Flushes.SQL()),
		fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (at)", index.SQL(), store.Quote(l.Flushes.Table)),
	}, nil
}

func columnType(v any) string {
	switch v.(type) {
	case int64, bool:
		return "INTEGER"
	case float64:
		return "REAL"
	case []byte:
		return "BLOB"
	case string, time.Time:
		return "TEXT"
	}
	panic(fmt.Sprintf("sqlite: a key's value is a %T", v))
}
