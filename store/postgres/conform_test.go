package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

// conform runs the suite with two pools whose connection strings have these options.
func conform(t *testing.T, options string) {
	storetest.TestCounts(t, func(t testing.TB, merge store.Merge) storetest.Backend {
		admin, schema := newPool(t)
		run(t, admin, "CREATE TABLE views (page text PRIMARY KEY CHECK (page <> 'refused'), n bigint NOT NULL)")
		c := views
		c.Merge, c.Retain = merge, time.Hour
		require.NoError(t, CreateTables(t.Context(), admin, c))
		pool := poolOf(t, dsn(server)+options, schema)
		return storetest.Backend{
			Sink: newSink(t, pool, c), Other: newSink(t, poolOf(t, dsn(server)+options, schema), c), Retain: c.Retain,
			Counts: func(ctx context.Context) (map[string]int64, error) {
				return read(ctx, admin, "SELECT page, n FROM views")
			},
			Block: func(ctx context.Context) (func() error, error) {
				tx, err := admin.Begin(ctx)
				if err != nil {
					return nil, err
				}
				_, err = tx.Exec(ctx, "UPDATE views SET n = n")
				return func() error { return tx.Rollback(ctx) }, err
			},
			IDs: func(ctx context.Context) (n int, err error) {
				err = admin.QueryRow(ctx, "SELECT count(*) FROM penstock_flushes").Scan(&n)
				return n, err
			},
			Age: func(ctx context.Context, d time.Duration) error {
				_, err := admin.Exec(ctx, "UPDATE penstock_flushes SET at = at - $1::interval", d)
				return err
			},
		}
	})
}

func TestG8_Conforms(t *testing.T) { conform(t, "") }

// TestG8_ConformsWithAnyPool runs the suite with what a user's pool may be set to: transactions that are serializable by
// default, statements that are not cached, and the simple protocol, as behind a pooler.
func TestG8_ConformsWithAnyPool(t *testing.T) {
	all := []string{"&default_query_exec_mode=simple_protocol", "&default_transaction_isolation=serializable", "&default_query_exec_mode=exec"}
	if testing.Short() {
		all = all[:1]
	}
	for _, options := range all {
		t.Run(options[1:], func(t *testing.T) { conform(t, options) })
	}
}
