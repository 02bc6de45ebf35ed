package sampler

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// samplerActor has samples taken when they are due, and takes them in. All that must survive it is in the entry's gate:
// the time of the next sample too, so that a ring of an earlier start's timer finds nothing to do.
type samplerActor struct {
	gate  *gate
	timer *time.Timer // rings when the next sample is due; nil before Started
}

// wake tells an actor to look whether a sample is due.
type wake struct{}

func (a *samplerActor) Receive(ctx actor.Context) {
	g := a.gate
	switch m := ctx.Message().(type) {
	case *measurement:
		g.tell(g.finish(m))
	case wake, *actor.Started:
		g.tell(g.begin(time.Now()))
		a.await()
	case *actor.Stopping:
		if a.timer != nil {
			a.timer.Stop()
		}
	}
}

// await arms the timer for the next sample.
func (a *samplerActor) await() {
	g := a.gate
	switch d, more := g.next(time.Now()); {
	case !more:
	case a.timer == nil:
		a.timer = time.AfterFunc(d, func() { g.room.children.Send(g.handle.entry, wake{}) })
	default:
		a.timer.Reset(d)
	}
}
