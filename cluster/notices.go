package cluster

import (
	"runtime/debug"
	"sync"
)

// notices are what a room is to be told of the cluster, in order, by one goroutine that is there while there is something to tell.
type notices struct {
	mu     sync.Mutex
	queue  []func()
	busy   bool
	closed bool
	failed func(reason any, stack string)
}

func (t *notices) add(notice func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.queue = append(t.queue, notice)
	if !t.busy {
		t.busy = true
		go t.run()
	}
}

func (t *notices) run() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 {
			t.busy = false
			t.mu.Unlock()
			return
		}
		notice := t.queue[0]
		t.queue = t.queue[1:]
		t.mu.Unlock()
		t.tell(notice)
	}
}

func (t *notices) tell(notice func()) {
	defer func() {
		if reason := recover(); reason != nil {
			t.failed(reason, string(debug.Stack()))
		}
	}()
	notice()
}

// close drops what was not told.
func (t *notices) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue, t.closed = nil, true
}

// welcome tells a room what there is already. The node's mutex is held.
func (p *Port) welcome() {
	p.told.failed = func(reason any, stack string) {
		p.node.logger.Error("a room panicked at news of the cluster", "room", p.spec.Name, "panic", reason, "stack", stack)
	}
	p.tellMembers(p.Members())
	for shard, epoch := range p.node.state.epochs {
		if p.node.own.epochs[shard].Load() == epoch {
			p.tellGained(Gain{Shard: shard, Epoch: epoch, From: p.node.state.gained[shard].from})
		}
	}
}

func (p *Port) tellMembers(names []string) {
	if p.spec.Members != nil {
		p.told.add(func() { p.spec.Members(names) })
	}
}

func (p *Port) tellGained(g Gain) {
	if p.spec.Gained != nil {
		p.told.add(func() { p.spec.Gained(g) })
	}
}

func (p *Port) tellDropped(shard int, epoch int64) {
	if p.spec.Dropped != nil {
		p.told.add(func() { p.spec.Dropped(shard, epoch) })
	}
}
