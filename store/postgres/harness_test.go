package postgres

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

const server = "127.0.0.1:5432"

// dsn is the connection string of the test database at an address.
func dsn(address string) string {
	return "postgres://postgres@" + address + "/test?sslmode=disable&pool_max_conns=10&connect_timeout=10"
}

// newPool connects to PostgreSQL with a schema of the test's own, which is dropped with it, as its search path. Other pools of
// the same schema are made with [poolOf].
func newPool(t testing.TB) (pool *pgxpool.Pool, schema string) {
	t.Helper()
	ctx := context.Background()
	admin, err := pgxpool.New(ctx, dsn(server))
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	if err := admin.Ping(ctx); err != nil {
		t.Skip("needs a server: PostgreSQL at localhost:5432")
	}
	schema = "penstock_" + rand.Text()
	run(t, admin, "CREATE SCHEMA "+store.Quote(schema))
	t.Cleanup(func() { run(t, admin, "DROP SCHEMA "+store.Quote(schema)+" CASCADE") })
	return poolOf(t, dsn(server), schema), schema
}

func poolOf(t testing.TB, dsn, schema string) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	cfg.ConnConfig.RuntimeParams["search_path"] = store.Quote(schema)
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func run(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := pool.Exec(context.Background(), sql, args...)
	require.NoError(t, err)
}

func newSink[K comparable](t testing.TB, pool *pgxpool.Pool, c store.Counts[K]) *Sink[K] {
	t.Helper()
	s, err := New(context.Background(), pool, c)
	require.NoError(t, err)
	return s
}

// read returns the rows of a query of a key, as text, and a count.
func read(ctx context.Context, pool *pgxpool.Pool, query string) (map[string]int64, error) {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int64)
	for rows.Next() {
		var k string
		var n int64
		if err := rows.Scan(&k, &n); err != nil {
			return nil, err
		}
		counts[k] = n
	}
	return counts, rows.Err()
}

func counts(t testing.TB, pool *pgxpool.Pool) map[string]int64 {
	t.Helper()
	got, err := read(context.Background(), pool, "SELECT page::text, n FROM views")
	require.NoError(t, err)
	return got
}

func flushOf[K comparable](id string, key K, n int64) stat.Flush[K] {
	return stat.Flush[K]{ID: id, Deltas: []stat.Delta[K]{{Key: key, N: n}}}
}

var views = store.Counts[string]{Table: "views", Keys: []string{"page"}}
