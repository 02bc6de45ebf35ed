package pool

import (
	"time"

	"github.com/penstock-go/penstock/internal/clock"
)

// guardClock tells the time to jobs that have no pool.
var guardClock = clock.New()

// alone begins a job that no pool has been asked for: at a gate of its own, which has room for just this one.
func alone(j *job) {
	g := &gate{cfg: Config{}.withDefaults()}
	g.group.Store(new(group))
	g.state.gate = g
	g.state.maxWorkers, g.state.maxMemory, g.state.maxStuck = 1, j.claim.memory, 1
	j.gate, j.asked = g, guardClock.Now()
	j.claim.routes = []route{{&g.state}}
	if _, err := g.admit(j); err != nil {
		panic(err) // it is empty
	}
	j.begin()
}

// now is the present moment.
func (g *gate) now() time.Time {
	if g.pool == nil {
		return guardClock.Now()
	}
	return g.pool.room.clock.Now()
}
