package supervisor

import (
	"errors"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock/registry"
)

// child is one start of an entry's actor: the engine's actor and its mailbox in one, around the actor that the room
// made. It never meets the engine's restart; after a failure it ends, and the spawner starts another.
type child[K comparable, V any] struct {
	mailbox
	spawner *spawner[K, V]
	entry   *registry.Entry[K, V]
	room    actor.Actor    // nil until Started
	failure error          // what it panicked with; nil if it did not
	start   registry.Actor // as senders know it

	// The spawner's own notes.
	place   int32 // in the list of children
	passive bool  // told to stop because it was idle
	removed bool  // told to stop because its family starts over
}

// failed is what a child panics with towards the engine once its own recover has put the failure on record.
type failed struct {
	error
	stop func()
}

// stop ends the child after the message in its hand. It does not go through the engine, which would make a dead letter of
// it if the child has ended by itself.
func (c *child[K, V]) stop() { c.PostSystemMessage(&actor.Stop{}) }

// Receive hands the engine's messages to the room's actor and contains its panics.
func (c *child[K, V]) Receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *actor.Started:
		c.attempt(message, func() {
			c.room = c.spawner.family.spec.New(c.entry)
			c.room.Receive(ctx)
		})
	case *actor.Stopping:
		c.contain(ctx)
	case *actor.Stopped:
		c.contain(ctx)
		left := c.close() // before the spawner hears of it: from here on Post refuses, and nothing is added to left
		c.spawner.send(&exited[K, V]{child: c, left: left})
	default:
		finished := false
		defer c.escalate(message, &finished)
		c.room.Receive(ctx)
		finished = true
	}
}

func (c *child[K, V]) attempt(message any, start func()) {
	finished := false
	defer c.escalate(message, &finished)
	start()
	finished = true
}

var errGoexit = errors.New("the actor called runtime.Goexit")

// escalate answers the message that the actor panicked on, and panics again so that the engine suspends the mailbox and
// tells the spawner. It is deferred itself, because recover works only there.
func (c *child[K, V]) escalate(message any, finished *bool) {
	reason := recover()
	if *finished {
		return
	}
	if reason == nil {
		reason = errGoexit
	}
	c.failure = &PanicError{Value: reason, Stack: debug.Stack()}
	refuse(message, c.failure)
	panic(failed{c.failure, c.stop})
}

// contain lets the actor see that it stops. Its panics are logged and go no further: one in Stopping would make the
// engine forget the stop, one in Stopped would leave a parent that never learns of it.
func (c *child[K, V]) contain(ctx actor.Context) {
	defer func() {
		if reason := recover(); reason != nil {
			c.spawner.family.logger.Error("actor panicked while it stopped", "id", c.entry.Key(), "panic", reason, "stack", string(debug.Stack()))
		}
	}()
	if c.room != nil {
		c.room.Receive(ctx)
	}
}

// PostUserMessage implements actor.Mailbox. It takes what is sent to the PID, which means this start of the actor and
// no later one; what is meant for the entry comes through Post.
func (c *child[K, V]) PostUserMessage(message any) {
	if !c.Post(message) {
		refuse(message, ErrClosed)
	}
}
