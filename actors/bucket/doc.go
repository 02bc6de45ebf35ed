// Package bucket says whose turn it is, at each user's rate: supervised buckets addressed by ID, after Tornex's
// scheduler bucket.
//
// A [Family] is a set of buckets with the same limits. Each user's bucket is started when it is first used and put away
// when idle. A bucket keeps all of its limits at once, exactly, in every rolling window; who cannot go at once waits,
// and the more urgent go first.
//
//	api, err := bucket.NewFamily(sys, "api", bucket.Config{
//		Limits: []limit.Limit{{Events: 10, Per: 6 * time.Second}},
//	})
//	reply, err := bucket.Do(ctx, api.Bucket(userID), bucket.Request{Nice: -10}, call)
//
// [Bucket.TryAcquire] never waits; [Bucket.Acquire] waits within its context; [Do] waits, runs a function, and can let
// identical requests share one run. When the users behind one ID are many, as with a service's own key to an API, each
// can be a flow of its own: while requests wait, flows share by weight, however many each of them makes ([Request].Flow).
//
// # What it guarantees
//
// By the numbers of docs/guarantees.md: no limit is exceeded in any rolling window, and at least 99 % of it is delivered
// when demand suffices (G1); a bucket that fails and is started again, or is put away and comes back, has not been
// refilled (G2); a caller that gives up costs nothing and delays nobody (G3); every caller that waits gets its turn or
// an error (G4); memory is bounded and refusals are immediate (G5); after Close nothing is left (G6); the more urgent
// goes first, equals go in the order of their coming, flows share by weight, and with ageing nobody starves (G7).
//
// # Several nodes
//
// A family that is Clustered is one with those of the same name and the same limits on the other nodes of a cluster, see package cluster: each
// limit holds for all nodes together. Every ID has a node that owns it, which alone decides about its bucket; callers of any node wait in one
// line there, by niceness, age and flow. An owner looks whether it is still that right before it lets anybody go (G11).
//
//   - A turn is good for [Config].Transit after the owner granted it. What comes later, because the network or a process was slow, is
//     given back and asked for again. So the limits are delivered less Transit: of a second and 40 ms, 96 %.
//   - When an ID gets another owner, those who wait ask that one, where they are last in line. It takes the limits for used up, and
//     asks who had the ID before, if it is proven who that was: then what counts goes along, and nothing else is lost. Otherwise it
//     serves the ID after a window. A lost node's IDs are owned again within two leases.
//   - While there is no owner, callers wait, or are refused, or go by a share of the limits: see [Config].Away and [Config].LocalShare.
//   - [Bucket.TryAcquire] does not wait for another node: where the bucket is not this node's, it lets pass what was lent to this node. A
//     node whose callers use TryAcquire, or Acquire more than four times in Transit, is lent as much as they ask for; the owner shares out
//     what there is, so that nobody could have more but at the expense of one who has no more than itself (max-min), and nothing while
//     somebody waits in line. That is for requests that cost 1, in a family with Headroom of niceness 0 or more urgent. It takes no
//     message and no allocation. Functions that [Do] lets share a run, by Key, share it with those of the same node.
//   - Whoever gives up at another node leaves the line of the owner, and costs nothing (G3). An answer that is lost with a connection costs what it
//     would have, and whoever owns the ID then is asked again.
//
// # How it works
//
// A bucket is an actor with a gate. Callers pass the gate under a short mutex while there is room and nobody waits that
// they must not overtake; everybody else is a message to the actor, which keeps the line, the timer and the order. The
// gate lives in the directory's entry, so it survives the actor. The same state also runs in virtual time: see [Replay].
package bucket
