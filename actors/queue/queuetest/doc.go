// Package queuetest proves a [queue.Behavior]: it runs tables, and a rapid model that compares the Behavior with the most
// naive bookkeeping there is.
//
//	func TestMyBehavior(t *testing.T) {
//		queuetest.Test(t, queuetest.Config{New: func(testing.TB) queue.Behavior[int] { return NewMine() }})
//	}
//
// What it proves: each item that was taken in comes out once, by Out, Remove or TimedOut, and what Peek says is what Out
// takes; Len, Oldest and All agree with that; TimedOut has what has waited for maxTime, oldest first, not a nanosecond
// earlier or later; Due is never too late; an item may come back with the Seq and time that it had; Close works with items
// inside. Time only goes forward, and nothing is used from two places at once.
//
// Only a Behavior's order is its own. What it claims about it is said by [Config.Next].
package queuetest
