package main

import (
	"context"
	"fmt"
	"sync"
)

// held is what functions hold of a pool.
type held struct {
	Workers int   `json:"workers"`
	Memory  int64 `json:"memory_bytes"`
}

func (h held) plus(workers int, memory int64) held {
	return held{h.Workers + workers, h.Memory + memory}
}

// String is "3 workers and 12 MiB".
func (h held) String() string {
	return fmt.Sprintf("%s and %s", counted(h.Workers, "worker"), mib(h.Memory))
}

// within reports whether a pool that may hold so much did not hold more.
func (h held) within(limit held) bool { return h.Workers <= limit.Workers && h.Memory <= limit.Memory }

// machine is the gauge's number of the pool that all share; the customers have those below.
const machine = customers

// work is what does an errand.
type work = func(context.Context) (digest, error)

// gauge is a record of what runs that the functions themselves keep, so that the pools need not be believed.
type gauge struct {
	limits [customers + 1]held
	mu     struct {
		sync.Mutex
		now, most [customers + 1]held
		turns     [customers]int // functions that began while both customers asked
		alone     bool           // one of them has nothing to ask for any more
	}
}

func newGauge(most held) *gauge {
	g := new(gauge)
	g.limits[machine] = most
	return g
}

// watched is fn, noted while it runs.
func (g *gauge) watched(customer int, memory int64, fn work) work {
	return func(ctx context.Context) (digest, error) {
		g.begin(customer, memory)
		defer g.end(customer, memory)
		return fn(ctx)
	}
}

func (g *gauge) begin(customer int, memory int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mu.alone {
		g.mu.turns[customer]++
	}
	for _, i := range []int{customer, machine} {
		now := g.mu.now[i].plus(1, memory)
		g.mu.now[i] = now
		g.mu.most[i] = held{max(g.mu.most[i].Workers, now.Workers), max(g.mu.most[i].Memory, now.Memory)}
	}
}

func (g *gauge) end(customer int, memory int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range []int{customer, machine} {
		g.mu.now[i] = g.mu.now[i].plus(-1, -memory)
	}
}

// oneLeft says that a customer has nothing to ask for any more: from then on turns tell nothing of sharing.
func (g *gauge) oneLeft() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.alone = true
}
