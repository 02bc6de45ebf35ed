package stat

import "github.com/asynkron/protoactor-go/actor"

// collector is a key's actor. It has nothing of its own: what was counted, and what is on its way, is in the key's tally, and
// outlives it.
type collector[K, P comparable, C any] struct{ ledger *ledger[K, P, C] }

func (c collector[K, P, C]) Receive(ctx actor.Context) {
	if t, ok := ctx.Message().(*tally[K, P, C]); ok {
		c.ledger.collect(t)
	}
}
