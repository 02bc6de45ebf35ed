// Package supervisor grows and tends the tree of actors, as OTP's supervisors do.
//
//	root ── kind ── family ─┬─ spawner ─┬─ child
//	                        │           └─ child …
//	                        └─ spawner …
//
// A room is a package that keeps one kind of actors, such as actors/bucket; it says in a [Spec] what they are.
//
// A [Tree] is one root. A [Family] is a set of children of one kind that are started on demand, one for each key, by
// several spawners that share the keys by hash. Families are started in the order of their making and stopped in the
// reverse order, children first. A [Room] is a family whose children are found by name and set up one by one; it brings the
// actor along, which looks after a member when it is woken and when the member wants it to.
//
// # A child's life
//
// The first use of a key makes its [registry.Entry], whose Value embeds a [registry.Life], and asks a spawner for the child.
// Messages go through [Family.Send], which loses none: what reaches an actor that is just being started, restarted or
// passivated is kept and handed to the next one, and what one sender sends to one entry keeps its order. A message that must be
// answered implements [Undeliverable]; it is told the reason when no actor will ever handle it.
//
// A child that panics has failed: the message in its hand is told so, and the spawner starts a new actor for the same
// entry under a new generation, as its [Restart] type says: the first time at once, then after a back-off with jitter.
// A child that fails more often than [Intensity] allows is given up: its entry keeps its value, whoever waits is told,
// and the next use starts it again with a clean record. Children given up count as failures of their family, and a
// family that fails too often starts over, then closes; its neighbours never notice.
//
// A child that has not been used for [Spec.Idle] is passivated, if the room agrees: see package registry for why
// nothing is lost.
//
// # The engine underneath
//
// Everything known about protoactor-go's traps is dealt with here, so that no room needs to know: actors have a
// mailbox of their own that returns what it still holds, the engine's own restart is never used (a new generation is
// spawned instead), panics in Stopping and Stopped are contained, nothing of ours is sent to an address that may have
// ended, its logger is ours, and its shutdown is not relied on.
package supervisor
