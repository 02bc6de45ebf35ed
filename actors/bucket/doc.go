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
// # How it works
//
// A bucket is an actor with a gate. Callers pass the gate under a short mutex while there is room and nobody waits that
// they must not overtake; everybody else is a message to the actor, which keeps the line, the timer and the order. The
// gate lives in the directory's entry, so it survives the actor. The same state also runs in virtual time: see [Replay].
package bucket
