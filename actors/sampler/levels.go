package sampler

import (
	"fmt"
	"maps"
	"time"

	"github.com/penstock-go/penstock"
)

// Load is the levels of all samplers by name, here and on other nodes.
type Load map[string]Level

// Level is how loaded the sampler of one name says that it is, here and on other nodes.
type Level struct {
	Local  int            // 0 also if there is no such sampler here
	Remote map[string]int // by node; nil if no other node has such a sampler. Never levels that have expired
}

// levels are the levels of all samplers, here and elsewhere. It is pure: it takes the time and has no lock.
type levels struct {
	local  map[string]local
	remote map[string]remote // by node
}

type local struct {
	owner *gate // tells a sampler from an earlier one of its name
	level int
}

type remote struct {
	levels  map[string]int
	expires time.Time
}

const (
	maxNodes        = 10_000
	maxRemoteLevels = 1000 // of a node
)

func newLevels() levels {
	return levels{local: make(map[string]local), remote: make(map[string]remote)}
}

// load is the whole, for its reader to keep.
func (l *levels) load() Load {
	load := make(Load, len(l.local))
	for name, here := range l.local {
		load[name] = Level{Local: here.level}
	}
	for node, there := range l.remote {
		for name, level := range there.levels {
			of := load[name]
			if of.Remote == nil {
				of.Remote = make(map[string]int)
			}
			of.Remote[node] = level
			load[name] = of
		}
	}
	return load
}

// ofNodes is the levels that other nodes' samplers of this name have.
func (l *levels) ofNodes(name string) map[string]int {
	list := make(map[string]int)
	for node, there := range l.remote {
		if level, ok := there.levels[name]; ok {
			list[node] = level
		}
	}
	return list
}

// add takes a new sampler in. It takes the place of an earlier one of its name.
func (l *levels) add(name string, owner *gate, level int) { l.local[name] = local{owner, level} }

// set notes a sampler's level and reports whether it is another than before.
func (l *levels) set(name string, owner *gate, level int) bool {
	here, ok := l.local[name]
	if !ok || here.owner != owner || here.level == level {
		return false
	}
	l.local[name] = local{owner, level}
	return true
}

// remove forgets a sampler and reports whether it was there.
func (l *levels) remove(name string, owner *gate) bool {
	if l.local[name].owner != owner {
		return false
	}
	delete(l.local, name)
	return true
}

// setNode notes all of a node's levels, and reports whether any is another than before.
func (l *levels) setNode(node string, list map[string]int, expires time.Time) (bool, error) {
	before, known := l.remote[node]
	if !known && len(l.remote) >= maxNodes {
		return false, fmt.Errorf("%w: levels of %d nodes are known, as many as may be", penstock.ErrFull, maxNodes)
	}
	l.remote[node] = remote{maps.Clone(list), expires}
	return !maps.Equal(before.levels, list), nil
}

// forgetNode forgets a node and reports whether it had a level.
func (l *levels) forgetNode(node string) bool {
	had := len(l.remote[node].levels) > 0
	delete(l.remote, node)
	return had
}

// expire forgets the nodes whose time has come, and reports whether any had a level.
func (l *levels) expire(now time.Time) (any bool) {
	for node, there := range l.remote {
		if !now.Before(there.expires) {
			any = l.forgetNode(node) || any
		}
	}
	return any
}

// next is when the next node expires; zero if there is none.
func (l *levels) next() (first time.Time) {
	for _, there := range l.remote {
		if first.IsZero() || there.expires.Before(first) {
			first = there.expires
		}
	}
	return first
}
