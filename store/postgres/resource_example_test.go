package postgres_test

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
)

// Cart is what a customer is about to buy.
type Cart struct {
	Lines   map[string]int // product and how many; a jsonb column
	Version int64
	Tokens  string
}

// Carts that a batch loads and saves, many in one round trip.
func ExampleNewResource() {
	type customer struct {
		Shop int
		ID   [16]byte // a uuid
	}
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://localhost/shop")
	if err != nil {
		panic(err)
	}
	defer pool.Close()

	carts, err := postgres.NewResource(ctx, pool, store.Resource[customer, *Cart]{
		Select: "SELECT lines, version, tokens FROM carts WHERE shop = $1 AND customer = $2",
		Update: `UPDATE carts SET lines = $3, version = version + 1, tokens = $5
			WHERE shop = $1 AND customer = $2 AND version = $4 RETURNING version`,
		Insert: `INSERT INTO carts (shop, customer, lines, version, tokens) VALUES ($1, $2, $3, nextval('cart_versions'), $4)
			ON CONFLICT DO NOTHING RETURNING version`,
		Key:     func(k customer) []any { return []any{k.Shop, k.ID} },
		New:     func(customer) *Cart { return &Cart{Lines: map[string]int{}} },
		Scan:    func(c *Cart) []any { return []any{&c.Lines} },
		Version: func(c *Cart) *int64 { return &c.Version },
		Tokens:  func(c *Cart) *string { return &c.Tokens },
	})
	if err != nil {
		panic(err)
	}
	_ = batch.Config[customer, *Cart]{LoadMany: carts.LoadMany, SaveMany: carts.SaveMany}
}
