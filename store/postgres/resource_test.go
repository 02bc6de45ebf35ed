package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

const createAccounts = `CREATE TABLE accounts (id text PRIMARY KEY, amount bigint NOT NULL CHECK (amount <> -666), note text,
	version bigint NOT NULL, tokens text NOT NULL)`

// accounts is what storetest wants.
var accounts = store.Resource[string, *storetest.Account]{
	Select: "SELECT amount, note, version, tokens FROM accounts WHERE id = $1",
	Update: "UPDATE accounts SET amount = $2, note = $3, version = version + 1, tokens = $5 WHERE id = $1 AND version = $4 RETURNING version",
	Insert: "INSERT INTO accounts (id, amount, note, version, tokens) VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING RETURNING version",
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

func newResource[K comparable, R any](t testing.TB, pool *pgxpool.Pool, of store.Resource[K, R]) *Resource[K, R] {
	t.Helper()
	r, err := NewResource(context.Background(), pool, of)
	require.NoError(t, err)
	return r
}

// conformResource runs the suite with two pools whose connection strings have these options.
func conformResource(t *testing.T, of store.Resource[string, *storetest.Account], options string) {
	storetest.TestResource(t, backend(of, options))
}

func backend(of store.Resource[string, *storetest.Account], options string) func(testing.TB) storetest.ResourceBackend {
	return func(t testing.TB) storetest.ResourceBackend {
		admin, schema := newPool(t)
		run(t, admin, createAccounts)
		if of.Epoch != nil {
			run(t, admin, addEpochs)
		}
		pool, other := poolOf(t, dsn(server)+options, schema), poolOf(t, dsn(server)+options, schema)
		noInsert := of
		noInsert.Insert = ""
		return storetest.ResourceBackend{
			Resource: newResource(t, pool, of), Other: newResource(t, other, of), NoInsert: newResource(t, pool, noInsert),
			Rows: func(ctx context.Context) (map[string]int64, error) {
				return read(ctx, admin, "SELECT id, amount FROM accounts")
			},
			Delete: func(ctx context.Context, key string) error {
				_, err := admin.Exec(ctx, "DELETE FROM accounts WHERE id = $1", key)
				return err
			},
			Block: func(ctx context.Context) (func() error, error) {
				tx, err := admin.Begin(ctx)
				if err != nil {
					return nil, err
				}
				_, err = tx.Exec(ctx, "UPDATE accounts SET amount = amount")
				return func() error { return tx.Rollback(ctx) }, err
			},
		}
	}
}

func TestG9_ResourceConforms(t *testing.T) { conformResource(t, accounts, "") }

// TestG9_ResourceConformsWithAnyPool runs the suite with what a user's pool may be set to, and an Insert that fails when somebody
// else was quicker.
func TestG9_ResourceConformsWithAnyPool(t *testing.T) {
	of := accounts
	of.Insert = "INSERT INTO accounts (id, amount, note, version, tokens) VALUES ($1, $2, $3, 1, $4) RETURNING version"
	all := []string{"&default_query_exec_mode=simple_protocol&default_transaction_isolation=serializable", "&default_query_exec_mode=exec"}
	if testing.Short() {
		all = all[:1]
	}
	for _, options := range all {
		t.Run(options[1:], func(t *testing.T) { conformResource(t, of, options) })
	}
}

// TestG9_ResourceWithEpochsConforms runs the suite outside a cluster, with rows that have epochs.
func TestG9_ResourceWithEpochsConforms(t *testing.T) { conformResource(t, fenced(), "") }

func TestG11_ResourceEpochs(t *testing.T) { storetest.TestResourceEpochs(t, backend(fenced(), "")) }

func TestG9_ResourceInTwoProcesses(t *testing.T) {
	var pool *pgxpool.Pool
	storetest.TestResourceProcesses(t, func() (schema string) {
		pool, schema = newPool(t)
		run(t, pool, createAccounts)
		return schema
	}, func(t testing.TB, schema string) storetest.Resource {
		return newResource(t, poolOf(t, dsn(server), schema), accounts)
	}, func() (map[string]int64, error) {
		return read(t.Context(), pool, "SELECT id, amount FROM accounts")
	})
}
