// Package queue regulates load: how much may enter, how fast, and who goes first. It does what jobs does for Erlang, as
// supervised actors, and what its users miss.
//
// A queue has a name and regulators: rates, counters of how much runs at once, limits that find themselves, and those that
// several queues share. A request goes when all of them have room, and waits otherwise; the more urgent go first, flows
// (tenants) share by weight, and who waits too long is refused.
//
//	db, err := queue.Add(sys, "db", queue.Config{
//		Regulators: []queue.Regulator{queue.Counter{Limit: 10}, queue.Rate{PerSecond: 100}},
//		MaxTime:    2 * time.Second,
//	})
//	err = db.Run(ctx, queue.Request{Flow: tenant}, work)
//
// [Queue.Run] waits, runs a function on the caller's goroutine and gives the job back; [Queue.Ask] hands the [Job] to the
// caller. A queue with a [Producer] generates its jobs itself. [AddPassive] makes a queue of items that others take, and
// package durable one that survives a crash. [Load] reads all of it from a YAML file.
//
// On several nodes of a cluster, counters and group rates with Clustered hold for all nodes together: a node that owns one lends
// parts of it to the others, which give back what they do not need, and queues use it as any that is shared.
//
// # What it guarantees
//
// By the numbers of docs/guarantees.md: no rate is exceeded in any second and no counter at any moment, shared ones
// included, and a rate is delivered to 99 % when demand suffices (G1); a queue that fails and is started again has not
// been refilled, and what running jobs hold is still held (G2); a caller that gives up costs nothing and delays nobody
// (G3); every caller that waits gets its turn or an error, whatever happens to the queue and its regulators (G4); memory
// is bounded and refusals are immediate (G5); after Close nothing is left (G6); the more urgent goes first, flows share by
// weight within 5 %, and queues that share a regulator take turns, nodes too (G7); a clustered regulator holds whatever becomes
// of nodes and of what they say to each other, but for jobs of over a second at a node that is cut off or stopped (G11).
//
// # How it works
//
// A queue is an actor with a gate. While nobody waits and there is room, callers take and give back under the gate's short
// mutex; everybody else is a message to the actor, which keeps the line, the timer and the order. Regulators that queues
// share have a gate and an actor of their own, so there is no server that all queues wait for. The state is pure: it is
// told the time, and tested against naive models.
package queue
