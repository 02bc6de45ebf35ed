package batch

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/wheel"
	"github.com/penstock-go/penstock/registry"
)

// resource is a key's part of a processor, in the key's entry: it outlives the key's actor.
type resource[K comparable, R any] struct {
	processor *Processor[K, R]
	entry     *registry.Entry[K, resource[K, R]]
	lane      *lane[K, R]   // where it stands in line
	shard     int           // of the cluster
	onItsWay  atomic.Bool   // a message that has the actor look
	operating atomic.Uint64 // the goroutine that runs the batch's operations right now; 0: none does

	link      wheel.Link[*resource[K, R]] // guarded by the agenda
	scheduled bool                        // likewise

	mu    sync.Mutex
	state state[R]

	registry.Life
}

// Link is its place in the agenda.
func (r *resource[K, R]) Link() *wheel.Link[*resource[K, R]] { return &r.link }

// wake has the actor look, once or more, at what the state is from now on. The resource is itself the message. The mutex must
// not be held: a dispatcher may run the actor right here.
func (r *resource[K, R]) wake() {
	if r.onItsWay.CompareAndSwap(false, true) {
		r.processor.family.Send(r.entry, r)
	}
}

// Undelivered implements supervisor.Undeliverable: what is to be done is done without an actor, or those who wait would wait
// for ever.
func (r *resource[K, R]) Undelivered(error) { r.look() }

// look does what is to be done now.
func (r *resource[K, R]) look() {
	p := r.processor
	r.onItsWay.Store(false) // before the look: who changes something after it must send again
	r.mu.Lock()
	var refused []*operation[R]
	if p.peers != nil {
		refused = r.state.own(p.peers.epoch(r.shard))
	}
	do, again := r.state.next(p.clock.Elapsed(), &p.rules, p.closing.Load())
	if do == giveUp {
		p.giveUp(r)
	}
	p.agenda.at(r, again) // under the mutex: it must not undo what a later look wants
	r.mu.Unlock()
	switch do {
	case load:
		r.lane.load(r)
	case work:
		r.lane.work(r)
	}
	if len(refused) > 0 {
		p.refuse(r, refused)
	}
}

// refuse tells operations that have not run that the key is another node's.
func (p *Processor[K, R]) refuse(r *resource[K, R], ops []*operation[R]) {
	text, _, _ := p.peers.place(r.entry.Key())
	err := p.peers.notOwner(r.shard, text)
	n := 0
	for _, o := range ops {
		if o.refuse(err) {
			n++
		}
	}
	p.done(n)
}

// join puts an operation in line.
func (r *resource[K, R]) join(o *operation[R]) (joined bool, err error) {
	p := r.processor
	if at := r.operating.Load(); at != 0 && at == goroutine() {
		return false, fmt.Errorf("batch processor %q: %w: %v", p.name, ErrRecursive, r.entry.Key())
	}
	r.mu.Lock()
	s := &r.state
	switch {
	case s.closed:
		r.mu.Unlock()
		return false, nil
	case s.stuck != nil:
		err = fmt.Errorf("batch processor %q: key %v: %w", p.name, r.entry.Key(), s.stuck)
	case len(s.waiting)-s.gone >= p.cfg.MaxWaiting:
		err = fmt.Errorf("%w: batch processor %q: %d operations wait at key %v, as many as may", penstock.ErrFull, p.name, p.cfg.MaxWaiting, r.entry.Key())
	case p.pending.Add(1) > int64(p.cfg.MaxPending):
		p.pending.Add(-1)
		err = fmt.Errorf("%w: batch processor %q: there are %d operations, as many as may be", penstock.ErrFull, p.name, p.cfg.MaxPending)
	}
	if err != nil {
		r.mu.Unlock()
		p.refused.Add(1)
		return false, err
	}
	if p.closing.Load() { // after it was counted: who closes waits for what was, and this is not taken in
		r.mu.Unlock()
		p.done(1)
		return false, fmt.Errorf("batch processor %q: %w", p.name, penstock.ErrClosed)
	}
	look := s.add(o, p.clock.Elapsed(), &p.rules)
	r.mu.Unlock()
	if look {
		r.wake()
	}
	return true, nil
}

// leave takes back an operation that was cancelled.
func (r *resource[K, R]) leave(o *operation[R]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.cancel(o)
	r.processor.done(1)
}

// free ends the key's batch, and has what follows done. The mutex is held, but for a moment.
func (r *resource[K, R]) free() {
	s := &r.state
	s.stuck = nil
	s.end()
	more := len(s.waiting) > s.gone
	r.processor.agenda.at(r, forever)
	r.mu.Unlock()
	if more {
		r.wake()
	}
	r.mu.Lock()
}
