package bank

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// connections to PostgreSQL. It commits those together that come at the same time, so a transaction for each transfer is
// fastest if every client has one.
const connections = 32

// Bank is a database with wallets in it.
type Bank struct {
	db       *sql.DB
	dialect  dialect
	prepared [statements]*sql.Stmt
	commits  atomic.Int64
	drop     func(ctx context.Context) error
}

// OpenSQLite makes a bank in a file of its own, among the system's temporary files: with a write-ahead log, synced at each commit.
func OpenSQLite(ctx context.Context) (*Bank, error) {
	dir, err := os.MkdirTemp("", "penstock-bank-*")
	if err != nil {
		return nil, err
	}
	b := &Bank{dialect: inSQLite, drop: func(context.Context) error { return os.RemoveAll(dir) }}
	if b.db, err = sqlite.Open(filepath.Join(dir, "bank.db")); err != nil {
		return nil, errors.Join(err, b.drop(ctx))
	}
	return b.open(ctx)
}

// OpenPostgres makes a bank in a schema of its own of a PostgreSQL database.
func OpenPostgres(ctx context.Context, url string) (*Bank, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	schema := "penstock_bank_" + strings.ToLower(rand.Text())
	cfg.RuntimeParams["search_path"] = store.Quote(schema)
	cfg.RuntimeParams["synchronous_commit"] = "on"
	b := &Bank{dialect: inPostgres, db: stdlib.OpenDB(*cfg)}
	b.db.SetMaxOpenConns(connections)
	b.db.SetMaxIdleConns(connections)
	if _, err := b.db.ExecContext(ctx, "CREATE SCHEMA "+store.Quote(schema)); err != nil {
		return nil, errors.Join(err, b.db.Close())
	}
	b.drop = func(ctx context.Context) error {
		cfg.RuntimeParams["search_path"] = ""
		db := stdlib.OpenDB(*cfg)
		_, err := db.ExecContext(ctx, "DROP SCHEMA "+store.Quote(schema)+" CASCADE")
		return errors.Join(err, db.Close())
	}
	return b.open(ctx)
}

// open makes the tables, fills the wallets, and prepares the statements.
func (b *Bank) open(ctx context.Context) (*Bank, error) {
	err := b.within(ctx, func(tx *sql.Tx) error {
		for _, statement := range b.dialect.schema() {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		for id := 1; id <= Wallets; id++ {
			if _, err := tx.ExecContext(ctx, "INSERT INTO wallets (id, balance) VALUES ($1, $2)", id, Opening); err != nil {
				return err
			}
		}
		return nil
	})
	for i, text := range b.dialect.texts() {
		if err != nil {
			break
		}
		b.prepared[i], err = b.db.PrepareContext(ctx, text)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the bank does not open: %w", err), b.Close())
	}
	b.commits.Store(0)
	return b, nil
}

// Commits is how many transactions were committed, without the one that made the tables.
func (b *Bank) Commits() int { return int(b.commits.Load()) }

// Close removes the bank from its database.
func (b *Bank) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(b.db.Close(), b.drop(ctx))
}

// within runs fn in a transaction, which is committed unless fn fails.
func (b *Bank) within(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	b.commits.Add(1)
	return nil
}

// use is a prepared statement in a transaction.
func (b *Bank) use(ctx context.Context, tx *sql.Tx, statement int) *sql.Stmt {
	return tx.StmtContext(ctx, b.prepared[statement])
}
