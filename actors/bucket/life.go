package bucket

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// past is what is known of buckets that were put away.
type past struct {
	passed, refused atomic.Uint64
	mu              sync.Mutex
	told            struct{ passed, refused uint64 } // guarded by mu: the last totals, which never fall
}

// open prepares a new entry.
func (f *Family) open(e *entry) {
	g := &e.Value
	r := f.rules.Load()
	g.state = newState(r, f.now(r), f.former())
	g.state.used = f.clock.Elapsed()
	g.handle.family, g.handle.id = f, e.Key()
	g.handle.entry.Store(e)
	if f.peers != nil {
		g.tenure = &tenure{shard: f.peers.node.Shard(e.Key())}
	}
	f.metrics.created()
}

// mayForget puts the bucket away if a new one would behave the same.
func (f *Family) mayForget(e *entry) bool {
	g := &e.Value
	now, ok := g.enter(f.rules.Load())
	if !ok {
		return true
	}
	defer g.mu.Unlock()
	if !g.state.idle(f.clock.Offset(now), f.cfg.Idle) || !g.state.fresh(now) || !g.tenure.fresh(now) || g.tenure.busy() {
		return false
	}
	if !f.noteAway(g.state.rules) {
		return false
	}
	f.past.passed.Add(g.state.passed)
	f.past.refused.Add(g.state.refused())
	g.state.rules = nil
	g.unpark(e)
	return true
}

// noteAway notes that a bucket is put away under these rules. It returns false if they are no longer in force: a change of
// limits has to know of every bucket that was put away before it.
func (f *Family) noteAway(r *rules) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rules.Load() != r {
		return false
	}
	f.putAway.Store(int64(f.clock.Elapsed()))
	return true
}

// former is when a bucket was put away last; zero: none ever was.
func (f *Family) former() time.Time {
	if at := f.putAway.Load(); at != 0 {
		return f.clock.At(time.Duration(at))
	}
	return time.Time{}
}

// ended tells whoever waits at a bucket that its actor is no more.
func (f *Family) ended(e *entry, reason error) {
	g := &e.Value
	g.mu.Lock()
	var turnedAway []*waiter
	var calls []*call
	if b := g.state.backlog; b != nil {
		for t := range b.inLine() {
			turnedAway = append(turnedAway, t.waiter)
		}
		for _, w := range turnedAway {
			g.state.dismiss(&w.ticket)
		}
		if f.rules.Load().refusal != nil {
			calls = slices.Collect(maps.Values(b.calls))
		}
	}
	g.unpark(e)
	g.mu.Unlock()
	f.crowd.Leave(len(turnedAway))
	for _, w := range turnedAway {
		w.refuse(reason)
	}
	for _, c := range calls {
		c.cancel()
	}
}

// shut lets nothing new in.
func (f *Family) shut(reason error) {
	f.update(func(r *rules) bool { r.refusal = reason; return true })
}

// drain waits until nobody waits and no shared call runs.
func (f *Family) drain(ctx context.Context) error {
	defer f.metrics.close()
	if f.peers != nil {
		defer f.peers.close()
	}
	if err := f.crowd.Wait(ctx); err != nil {
		return fmt.Errorf("bucket family %q: %d waiting requests were turned away: %w", f.name, f.crowd.Len(), err)
	}
	return nil
}
