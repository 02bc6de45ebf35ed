package main

import (
	"math/rand/v2"

	"github.com/penstock-go/penstock/actors/pool"
)

// customers is how many share the machine. What follows is theirs, in this order.
const customers = 2

var (
	customerNames = [customers]string{"archive", "web"}
	// archive has three quarters of the files, and four times as many callers that ask at once.
	callersPerWorker = [customers]int{4, 1}
)

// fileShare is the part of the files that the second customer asks for.
const fileShare = 0.25

// childShare is the part of the files that are worked on in a child process.
const childShare = 0.02

const (
	smallMemory  = 1 << 20  // of a function in this process: a gzip.Writer and buffers
	childMemory  = 32 << 20 // of a function in a child process
	hungryMemory = 64 << 20 // of the one that takes all it can get
)

// kind is what a function does.
type kind int

const (
	file kind = iota
	childFile
	deaf
	endless
	panics
	goexits
	spins
	killed
	eats
	exits
	kindCount
)

// conduct is what a kind of function does and how it has to end.
type conduct struct {
	name   string
	does   string
	tier   pool.Tier
	memory int64
	ends   ending
}

var kinds = [kindCount]conduct{
	file:      {"file", "hashes and compresses a file", pool.Goroutine, smallMemory, value},
	childFile: {"file, in a child", "the same in a child process, which is used again", pool.Process, childMemory, value},
	deaf:      {"deaf", "waits for what never comes, and ignores that its context ends", pool.Goroutine, smallMemory, timedOut},
	endless:   {"endless", "calculates until its context ends", pool.Goroutine, smallMemory, timedOut},
	panics:    {"panics", "follows a nil pointer", pool.Goroutine, smallMemory, panicked},
	goexits:   {"goexits", "ends its goroutine with runtime.Goexit", pool.Goroutine, smallMemory, goexited},
	spins:     {"spins", "in a child process: a loop without end that heeds nothing", pool.Process, childMemory, timedOut},
	killed:    {"killed", "the same, and an operator kills it", pool.Process, childMemory, wasKilled},
	eats:      {"eats", "in a child process: takes memory without end", pool.Process, hungryMemory, outOfMemory},
	exits:     {"exits", "in a child process: calls os.Exit(3)", pool.Process, childMemory, exited(3)},
}

// files reports whether the kind works on files.
func (k kind) files() bool { return k == file || k == childFile }

// misbehaves reports whether the kind gets out of hand, and can be played here.
func (k kind) misbehaves() bool { return !k.files() && k.playable() }

// playable reports whether there is the tier for it on this system.
func (k kind) playable() bool {
	switch {
	case k == eats:
		return canCap
	case kinds[k].tier == pool.Process:
		return canFork
	}
	return true
}

// errand is one thing that a customer asks for.
type errand struct {
	kind kind
	path string // of the file; "" for what gets out of hand
}

// plan draws who asks for which files and where among them the functions are that get out of hand. One seed, one plan.
func (a poolAct) plan(files []string) (plan [customers][]errand) {
	random := rand.New(rand.NewPCG(a.seed, 2))
	for _, path := range files {
		e, c := errand{kind: file, path: path}, 0
		if random.Float64() < fileShare {
			c = 1
		}
		if random.Float64() < childShare && childFile.playable() {
			e.kind = childFile
		}
		plan[c] = append(plan[c], e)
	}
	for c := range plan {
		for k := range kindCount {
			if k.misbehaves() {
				for range a.times(k) {
					plan[c] = append(plan[c], errand{kind: k})
				}
			}
		}
		random.Shuffle(len(plan[c]), func(i, j int) { plan[c][i], plan[c][j] = plan[c][j], plan[c][i] })
	}
	return plan
}

// times is how often each customer asks for a function that gets out of hand: once if that takes a worker away for good.
func (a poolAct) times(k kind) int {
	if k == deaf {
		return 1
	}
	return a.repeat
}
