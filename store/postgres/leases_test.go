package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/cutter"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/storetest"
)

func newLeases(t testing.TB, pool *pgxpool.Pool, at store.LeaseTable) *Leases {
	t.Helper()
	l, err := NewLeases(context.Background(), pool, at)
	require.NoError(t, err)
	return l
}

// conformLeases runs the suite with clients that have pools of their own, with these options in their connection strings.
func conformLeases(t *testing.T, moved bool, options string) {
	storetest.Leases(t, func(t testing.TB) storetest.LeasesBackend {
		admin, schema := newPool(t)
		proxy, err := cutter.Listen(server)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, proxy.Close()) })
		b := storetest.LeasesBackend{
			Leases: func() lease.Store {
				return newLeases(t, poolOf(t, dsn(proxy.Addr())+options, schema), store.LeaseTable{})
			},
			Cut: func() func() {
				proxy.Refuse(true)
				return func() { proxy.Refuse(false) }
			},
		}
		if moved {
			b.Advance = func(d time.Duration) {
				run(t, admin, "UPDATE penstock_leases SET until = until - $1::interval WHERE name <> ''", d)
			}
		}
		return b
	})
}

func TestG11_LeasesConform(t *testing.T) { conformLeases(t, true, "") }

// TestG11_LeasesConformInRealTime runs the suite with the server's clock as it is.
func TestG11_LeasesConformInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for leases to end")
	}
	conformLeases(t, false, "")
}

// TestG11_LeasesConformWithAnyPool runs the suite with what a user's pool may be set to.
func TestG11_LeasesConformWithAnyPool(t *testing.T) {
	all := []string{"&default_query_exec_mode=simple_protocol", "&default_transaction_isolation=serializable", "&default_query_exec_mode=exec"}
	if testing.Short() {
		all = all[:1]
	}
	for _, options := range all {
		t.Run(options[1:], func(t *testing.T) { conformLeases(t, true, options) })
	}
}
