package postgres_test

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
)

// A sink of counts that have a customer and a product for a key, and whose rows say when they were written.
func Example() {
	type sale struct {
		Customer [16]byte
		Product  string
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://localhost/shop")
	if err != nil {
		panic(err)
	}
	defer pool.Close()

	sales := store.Counts[sale]{
		Table: "stats.sales", Keys: []string{"customer", "product"}, Value: "cents", Updated: "at",
		Split: func(k sale) []any { return []any{k.Customer, k.Product} },
	}
	if err := postgres.CreateTables(ctx, pool, sales); err != nil {
		panic(err)
	}
	sink, err := postgres.New(ctx, pool, sales)
	if err != nil {
		panic(err)
	}
	// Until it is answered with nil, it comes again; it is stored once.
	flush := stat.Flush[sale]{ID: "2026-01-01/1", Deltas: []stat.Delta[sale]{{Key: sale{Product: "tea"}, N: 450}}}
	for sink.Flush(ctx, flush) != nil {
	}
}
