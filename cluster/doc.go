// Package cluster makes several processes one: each ID has one owner, which is one of them at a time.
//
// IDs are shared out in shards by their hash, and each shard is owned by a node under a lease. Nodes agree on that in a store
// that people already trust (PostgreSQL, etcd, or an SQLite file for the processes of one machine), not by talking to one
// another: whoever can reach the store can be an owner, and nobody else.
//
//	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
//	node, err := cluster.Join(ctx, sys, cluster.Config{Name: "a", Bind: "10.0.0.1:7300", TLS: mutual, Leases: leases})
//
// Rooms that are Clustered do the rest: whoever uses an ID that another node owns asks that node, over proto.actor remote. What only one
// process may do, and no room does, asks for itself:
//
//	epoch, mine := node.Epoch(node.Shard("user-17"))
//
// A room of your own reaches its like on the other nodes by [Node.Open].
//
// # Leaving
//
// [Node.Leave] before the system's Close lets the others have what the node's rooms know of their IDs, such as what was granted within
// the last window: the node stops serving at once, and answers for half a lease more. After a Close, or a crash, the next owner does not
// know, and assumes the worst.
//
// # What it guarantees
//
// A shard has one effective owner at most. A node stops serving what it owns before its lease ends, by its own clock, which
// is asked at each decision and goes on while the process is stopped or the machine sleeps; a tenth of the lease is kept as a
// margin for clocks that do not run equally fast. Clocks need not agree: nobody's reading is compared with another one's. Each
// ownership has an epoch that is larger than all before it, so that a store of data can refuse what an earlier owner writes late.
//
// Who gains a shard is told from whom, if it is certain that nobody has served it in between: see [Gain]. That rests on all nodes having
// the same lease time.
//
// The shards of a node that has died are owned by others within a lease and a third of one: its lease ends, and each of the
// others renews its own three times a lease and takes what is free. When nodes come, leave or die, no shard moves that need not,
// and all own as many as the others, give or take one.
//
// When the store is away, owners serve until their leases end, and then refuse. All comes back by itself when the store does.
package cluster
