// Package registry is the directory: it knows for each ID the [Entry] that stands for it, and the entry's [Life] knows the actor.
//
// An entry outlives its actor. What callers depend on (a gate, waiting callers, unflushed counts) lives in the
// entry's Value, so that an actor can fail and be started again without anybody losing anything.
//
// # Passivation without loss
//
// Whoever sends to an entry's actor counts itself in with [Life.Enter] and out with [Life.Leave]. An entry can be
// retired only by exchanging a count of zero for the closed mark ([Life.Retire]), so there is never a sender between
// "found the actor" and "the message is in its mailbox" when the actor is stopped. A sender that finds the entry
// closed hands its message to the supervisor, the one place where actors are started and stopped, which looks again.
// Such a sender stays counted in until the supervisor has dealt with its message, and the entry opens only when nobody
// is: that keeps the messages of one sender in their order.
//
// Each start of an actor has a generation that no other start in its family has. A message, a timer or a dying actor
// of an older generation is told apart from the living one by it.
package registry
