package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Of all processes that share the file, one at a time sends the reminders of a customer: the owner of the customer's shard. Another
// one goes on with them when it has died.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "leases.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		panic(err)
	}
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx) // leaves: others own at once what this process did
	node, err := cluster.Join(ctx, sys, cluster.Config{Name: "worker-1", Leases: leases})
	if err != nil {
		panic(err)
	}
	events := node.Subscribe(256)
	shard := node.Shard("customer-17")
	epoch, mine := node.Epoch(shard)
	for !mine {
		<-events.Events() // shards come a moment after the lease
		epoch, mine = node.Epoch(shard)
	}
	fmt.Println("reminders of customer-17 are sent here:", mine, epoch > 0)
	// Output: reminders of customer-17 are sent here: true true
}
