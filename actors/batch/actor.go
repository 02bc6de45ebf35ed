package batch

import "github.com/asynkron/protoactor-go/actor"

// keeper is a key's actor. It has nothing of its own: what waits, and what is under way, is in the key's resource.
type keeper[K comparable, R any] struct{ resource *resource[K, R] }

func (k keeper[K, R]) Receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *resource[K, R]:
		message.look()
	case *actor.Started: // there may be something to do since before a restart
		k.resource.look()
	}
}
