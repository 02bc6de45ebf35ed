package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/lease"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Two members share shards. Package cluster does this for its users.
func ExampleNewLeases() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "cluster.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{Cluster: "shop"})
	if err != nil {
		panic(err)
	}

	a := lease.Member{Name: "a", Incarnation: "drawn at its start", Address: "10.0.0.1:7000"}
	b := lease.Member{Name: "b", Incarnation: "drawn at its start", Address: "10.0.0.2:7000"}
	_, _ = leases.Renew(ctx, a, time.Minute)
	_, _ = leases.Renew(ctx, b, time.Minute)
	first, _ := leases.Take(ctx, a, []int{0, 1, 2})
	second, _ := leases.Take(ctx, b, []int{2, 3})
	fmt.Println(len(first), "shards for a,", len(second), "for b")

	_ = leases.Leave(ctx, a)
	_, err = leases.Renew(ctx, a, time.Minute)
	fmt.Println("a is lost:", errors.Is(err, lease.ErrLost))
	third, _ := leases.Take(ctx, b, []int{2})
	fmt.Println("b has shard 2, with a larger epoch:", third[0].Epoch > first[2].Epoch)
	// Output:
	// 3 shards for a, 1 for b
	// a is lost: true
	// b has shard 2, with a larger epoch: true
}
