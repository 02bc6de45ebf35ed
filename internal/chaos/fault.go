//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The faults.
const (
	faultKill  = "kill -9"
	faultStop  = "SIGSTOP"
	faultCut   = "cut"
	faultOne   = "cut one way"
	faultStore = "store away"
	faultLeave = "leave"
	faultJoin  = "join"
)

var faults = []string{faultKill, faultStop, faultCut, faultOne, faultStore, faultLeave, faultJoin}

// fault is what happens in a round. How long it lasts depends on what it is.
type fault struct {
	kind   string
	victim int   // node
	others []int // whom it is cut off from
	stalls bool  // connections stand still; else they break
}

// draw draws the faults of all rounds: the same ones for the same seed. Each kind comes once before any comes again.
func draw(seed uint64, rounds, nodes int, kinds []string) (drawn []fault) {
	random := rand.New(rand.NewPCG(seed, 0))
	var bag []string
	for range rounds {
		if len(bag) == 0 {
			bag = slices.Clone(kinds)
			random.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		f := fault{kind: bag[0], victim: random.IntN(nodes), stalls: random.IntN(2) == 0}
		bag = bag[1:]
		for i := range nodes {
			if i != f.victim {
				f.others = append(f.others, i)
			}
		}
		if random.IntN(2) == 0 { // from one of the others only
			f.others = []int{f.others[random.IntN(len(f.others))]}
		}
		drawn = append(drawn, f)
	}
	return drawn
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i+1) }

// ways are those that a cut takes away.
func (f fault) ways() (ways []way) {
	for _, o := range f.others {
		ways = append(ways, way{nodeName(f.victim), nodeName(o)})
		if f.kind == faultCut {
			ways = append(ways, way{nodeName(o), nodeName(f.victim)})
		}
	}
	return ways
}

// who says whom it is about.
func (f fault) who(nodes int) string {
	switch f.kind {
	case faultStore:
		return "all"
	case faultJoin:
		return nodeName(nodes)
	case faultCut, faultOne:
		var names []string
		for _, o := range f.others {
			names = append(names, nodeName(o))
		}
		arrow := map[bool]string{true: "-x-", false: "-x>"}[f.kind == faultCut]
		how := map[bool]string{true: "stalled", false: "broken"}[f.stalls]
		return nodeName(f.victim) + arrow + strings.Join(names, ",") + " " + how
	}
	return nodeName(f.victim)
}
