// Package etcd keeps a cluster's leases in etcd, from version 3.4 on.
//
//	client, err := clientv3.New(clientv3.Config{
//		Endpoints:         []string{"etcd-1:2379", "etcd-2:2379", "etcd-3:2379"},
//		DialTimeout:       time.Second, DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: time.Second,
//	})
//	leases, err := etcd.NewLeases(client, etcd.Config{})
//	node, err := cluster.Join(ctx, sys, cluster.Config{Name: "node-1", Leases: leases})
//
// Any number of processes, and of [Leases] in one of them, may use the same prefix. No goroutine is left behind by a call, and none
// runs between them: what keeps a member alive is its calls of Renew, and nothing else.
//
// # When a lease ends
//
// Never before the time that was asked for, counted from when Renew was called; that holds when etcd elects another leader, too.
// It may end later, for etcd's own leases are coarse:
//
//   - They have whole seconds, so 300 ms are 1 s, and the server has a least time, of one and a half election timeouts in whole
//     seconds: 2 s with its usual settings.
//   - The leader looks twice a second for those that have ended, and then has to write that down.
//   - A new leader lets all leases begin anew, and adds an election timeout. While there is no leader, none ends.
//   - A Renew that was given up, and reaches the server later all the same, makes the lease live on from then, if it still lives. It
//     never makes it shorter, and never brings a lease back that has ended.
//
// So with usual settings and a leader that lives, a lease of 3 s ends 3 to 4 s after the last Renew. Servers older than 3.4.31 and
// 3.5.13 have an error by which a leader that was frozen ends leases that were renewed with its successor
// (https://github.com/etcd-io/etcd/issues/15247); use newer ones.
//
// # What is in etcd
//
//	penstock/members/NAME             {"incarnation":"…","address":"…","seconds":3}, on the member's own etcd lease
//	penstock/shards                   who owns what: {"epoch":57,"owners":[{"name":"node-1","life":1201,"grants":[{"epoch":57,"shards":[0,1]}]}]}
//	penstock/lives/NAME/INCARNATION   empty: this one has joined, and must not join again
//
// A member lives for as long as its key is there. What those own who do not live is free, whatever the shards' key says. All that
// changes hands at once is written in one transaction, of any number of shards, which somebody else's write makes begin anew. A
// Renew that changes nothing is three short calls and writes nothing, so the store's history does not grow by it. The last 1,000
// incarnations are remembered; one that comes back after so many others have joined would count as new.
//
// An epoch is larger than the store's revision was, so epochs grow even after somebody has deleted all keys. Who restores a backup
// takes epochs back too, unless the store's revision is raised with it (etcdutl snapshot restore --bump-revision --mark-compacted): stop the
// nodes first.
//
// With authentication on, the user needs a role with readwrite on the prefix.
//
// # Errors
//
// Contexts' errors are in what is returned; so are etcd's own, as package rpctypes has them, for servers that have no leader, have no
// space or do not let the user in. While no server can be reached a call waits for one, and it waits for one that does
// not answer: give it a context that ends.
package etcd
