package postgres_test

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/postgres"
)

// The leases of a cluster, in a table that is made if it is missing.
func ExampleNewLeases() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://localhost/shop?tcp_keepalives_idle=5")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	leases, err := postgres.NewLeases(ctx, pool, store.LeaseTable{Table: "penstock.leases", Cluster: "shop"})
	if err != nil {
		panic(err)
	}
	var _ lease.Store = leases
	view, err := leases.Renew(ctx, lease.Member{Name: "node 1", Incarnation: "drawn at its start", Address: "10.0.0.1:7000"}, 3*time.Second)
	if err != nil {
		panic(err)
	}
	_ = view.Members
}
