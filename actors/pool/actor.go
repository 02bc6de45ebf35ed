package pool

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/penstock-go/penstock"
)

// poolActor lets in those who wait, and kills. Everything that must survive it is in the entry's gate.
type poolActor struct{ entry *entry }

func (a *poolActor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case wake, *actor.Started: // those who waited through a restart are in line already
		a.entry.Value.look()
	case *kill:
		m.killed <- m.gate.kill(m)
	}
}

// look lets in whoever has its turn at the pool.
func (g *gate) look() {
	var few [4]*job
	grp := g.lock()
	ready := few[:0]
	defer func() { // also after a panic: neither the lock nor a caller may be left behind
		grp.unlock()
		for _, j := range ready {
			j.begin()
		}
	}()
	ready = g.letInWaiting(grp, ready)
}

// wake says that somebody may be let in.
type wake struct{ gate *gate }

// Undelivered implements supervisor.Undeliverable: no actor will look, so those who wait must be told. Unless it is the
// actor that failed on it: then it is started again and looks, or is given up, and the room is told.
func (m wake) Undelivered(reason error) {
	if panicked := new(penstock.PanicError); !errors.As(reason, &panicked) {
		m.gate.pool.room.ended(m.gate.pool.entry, reason)
	}
}

// kill asks a pool's actor to end the jobs that which picks.
type kill struct {
	gate   *gate
	which  func(*job) bool
	cause  error
	killed chan int // room for the answer
}

// Undelivered implements supervisor.Undeliverable: a kill needs no actor, only its turn.
func (k *kill) Undelivered(error) { k.killed <- k.gate.kill(k) }

// kill ends the jobs of this pool, and of those that delegate to it.
func (g *gate) kill(k *kill) int {
	var victims []*job
	defer func() { // also after a panic
		for _, j := range victims {
			j.tell()
		}
	}()
	grp := g.lock()
	defer grp.unlock()
	for member := range grp.members {
		for j := range member.jobs.all() {
			if j.claim.through(&g.state) && k.which(j) && j.settle(killed, j.kill(k.cause)) {
				j.abort(grp)
				victims = append(victims, j)
			}
		}
	}
	return len(victims)
}
