package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

const createAccounts = `CREATE TABLE accounts (id TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount <> -666), note TEXT,
	version INTEGER NOT NULL, tokens TEXT NOT NULL)`

// accounts is what storetest wants, with parameters in their order.
var accounts = store.Resource[string, *storetest.Account]{
	Select: "SELECT amount, note, version, tokens FROM accounts WHERE id = ?",
	Update: "UPDATE accounts SET amount = ?2, note = ?3, version = version + 1, tokens = ?5 WHERE id = ?1 AND version = ?4 RETURNING version",
	Insert: "INSERT INTO accounts (id, amount, note, version, tokens) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING RETURNING version",
	New: func(key string) *storetest.Account {
		if key == "panic" {
			panic(key)
		}
		return &storetest.Account{}
	},
	Scan: func(a *storetest.Account) []any {
		if a.Hurt != nil {
			a.Hurt()
		}
		return []any{&a.Amount, &a.Note}
	},
	Version: func(a *storetest.Account) *int64 { return &a.Version },
	Tokens:  func(a *storetest.Account) *string { return &a.Tokens },
}

// addEpochs makes the table one of those whose rows have epochs.
const addEpochs = "ALTER TABLE accounts ADD COLUMN epoch bigint NOT NULL DEFAULT 0"

// fenced are accounts whose rows have epochs.
func fenced() store.Resource[string, *storetest.Account] {
	of := accounts
	of.Select = "SELECT amount, note, version, tokens, epoch FROM accounts WHERE id = $1"
	of.Update = "UPDATE accounts SET amount = $2, note = $3, version = version + 1, tokens = $5, epoch = $6 WHERE id = $1 AND version = $4 RETURNING version"
	of.Insert = "INSERT INTO accounts (id, amount, note, version, tokens, epoch) VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT DO NOTHING RETURNING version"
	of.Epoch = func(a *storetest.Account) *int64 { return &a.Epoch }
	return of
}

func newResource[K comparable, R any](t testing.TB, db *sql.DB, of store.Resource[K, R]) *Resource[K, R] {
	t.Helper()
	r, err := NewResource(context.Background(), db, of)
	require.NoError(t, err)
	return r
}

func conformResource(t *testing.T, of store.Resource[string, *storetest.Account], open func(t testing.TB, path string) *sql.DB) {
	storetest.TestResource(t, backend(of, open))
}

func backend(of store.Resource[string, *storetest.Account], open func(t testing.TB, path string) *sql.DB) func(testing.TB) storetest.ResourceBackend {
	return func(t testing.TB) storetest.ResourceBackend {
		path := filepath.Join(t.TempDir(), "accounts.db")
		db, other := open(t, path), open(t, path)
		run(t, db, createAccounts)
		if of.Epoch != nil {
			run(t, db, addEpochs)
		}
		noInsert := of
		noInsert.Insert = ""
		return storetest.ResourceBackend{
			Resource: newResource(t, db, of), Other: newResource(t, other, of), NoInsert: newResource(t, db, noInsert),
			Rows: func(ctx context.Context) (map[string]int64, error) {
				return read(ctx, db, "SELECT id, amount FROM accounts")
			},
			Delete: func(ctx context.Context, key string) error {
				_, err := db.ExecContext(ctx, "DELETE FROM accounts WHERE id = ?", key)
				return err
			},
			Block: func(ctx context.Context) (func() error, error) {
				conn, err := openFile(t, path).Conn(ctx)
				if err != nil {
					return nil, err
				}
				if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
					return nil, err
				}
				return func() error {
					_, err := conn.ExecContext(ctx, "ROLLBACK")
					return err
				}, err
			},
		}
	}
}

func TestG9_ResourceConforms(t *testing.T) { conformResource(t, accounts, openFile) }

// TestG9_ResourceConformsWithAnyDatabase runs the suite with what a user may open without thinking, and an Insert that fails
// when somebody else was quicker.
func TestG9_ResourceConformsWithAnyDatabase(t *testing.T) {
	of := accounts
	of.Insert = "INSERT INTO accounts (id, amount, note, version, tokens) VALUES ($1, $2, $3, 1, $4) RETURNING version"
	conformResource(t, of, func(t testing.TB, path string) *sql.DB {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		return db
	})
}

// TestG9_ResourceWithEpochsConforms runs the suite outside a cluster, with rows that have epochs.
func TestG9_ResourceWithEpochsConforms(t *testing.T) { conformResource(t, fenced(), openFile) }

func TestG11_ResourceEpochs(t *testing.T) {
	storetest.TestResourceEpochs(t, backend(fenced(), openFile))
}

func TestG9_ResourceInTwoProcesses(t *testing.T) {
	var db *sql.DB
	storetest.TestResourceProcesses(t, func() string {
		path := filepath.Join(t.TempDir(), "accounts.db")
		db = openFile(t, path)
		run(t, db, createAccounts)
		return path
	}, func(t testing.TB, path string) storetest.Resource {
		return newResource(t, openFile(t, path), accounts)
	}, func() (map[string]int64, error) {
		return read(t.Context(), db, "SELECT id, amount FROM accounts")
	})
}
