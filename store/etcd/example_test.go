package etcd_test

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/penstock-go/penstock/store/etcd"
	"github.com/penstock-go/penstock/store/lease"
)

// A node does this for you; see package cluster.
func Example() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:2379"}, DialTimeout: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	leases, err := etcd.NewLeases(client, etcd.Config{Prefix: "shop/"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	me := lease.Member{Name: "node-1", Incarnation: "drawn anew for each start", Address: "10.0.0.1:7000"}
	view, err := leases.Renew(ctx, me, 3*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	shards, err := leases.Take(ctx, me, []int{0, 1, 2})
	fmt.Println(view.Members, shards, err)
}
