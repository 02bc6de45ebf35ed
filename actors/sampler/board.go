package sampler

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

// board shows the levels of all samplers, here and elsewhere. It is the one place where changes are put in an order, so
// that all watchers and subscribers see the same one.
type board struct {
	logger  *slog.Logger
	workers *workers
	peers   *atomic.Pointer[peers]
	mu      struct {
		sync.Mutex
		levels   levels
		watchers map[*watcher]struct{}
		feed     supervisor.Feed[Event]
		expiry   *time.Timer // rings when the next node's levels expire; nil before the first
		closed   bool
	}
}

func newBoard(logger *slog.Logger, w *workers, p *atomic.Pointer[peers]) *board {
	b := &board{logger: logger, workers: w, peers: p}
	b.mu.levels = newLevels()
	b.mu.watchers = make(map[*watcher]struct{})
	return b
}

// add shows a new sampler, unless it has ended already.
func (b *board) add(name string, owner *gate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-owner.ended: // and remove may have been here before
		return
	default:
	}
	if !b.mu.closed {
		b.mu.levels.add(name, owner, owner.level()) // its first sample may have been quicker
		b.notify()
		b.spread(owner)
	}
}

// set shows a sampler's level, and reports whether it is another than before.
func (b *board) set(name string, owner *gate, c change) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.closed || !b.mu.levels.set(name, owner, c.to) {
		return false
	}
	b.mu.feed.Publish(Event{Sampler: name, From: c.from, To: c.to, Value: c.value, At: c.at, Err: c.err})
	b.notify()
	b.spread(owner)
	return true
}

// remove takes a sampler away that has ended.
func (b *board) remove(name string, owner *gate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	level := b.mu.levels.local[name].level
	if !b.mu.levels.remove(name, owner) || b.mu.closed {
		return
	}
	if level > 0 {
		b.mu.feed.Publish(Event{Sampler: name, From: level, At: time.Now(), Err: penstock.ErrClosed})
	}
	b.notify()
	b.spread(owner)
}

// spread has other nodes hear of a change. b.mu is held.
func (b *board) spread(owner *gate) {
	if owner.cfg.Clustered {
		if p := b.peers.Load(); p != nil {
			p.changed()
		}
	}
}

// clustered are the levels that other nodes are to hear of.
func (b *board) clustered() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make(map[string]int)
	for name, here := range b.mu.levels.local {
		if here.owner.cfg.Clustered {
			list[name] = here.level
		}
	}
	return list
}

// samplers are those of this node.
func (b *board) samplers() (list []*gate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, here := range b.mu.levels.local {
		list = append(list, here.owner)
	}
	return list
}

// setNode shows another node's levels until they expire.
func (b *board) setNode(node string, list map[string]int, ttl time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.closed {
		return penstock.ErrClosed
	}
	now := time.Now()
	changed := b.mu.levels.expire(now)
	changedToo, err := b.mu.levels.setNode(node, list, now.Add(ttl))
	b.arm(now)
	if changed || changedToo {
		b.notify()
	}
	return err
}

func (b *board) forgetNode(node string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.levels.forgetNode(node) && !b.mu.closed {
		b.notify()
	}
}

// expire forgets the levels of nodes that have not been heard of.
func (b *board) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
}

// refresh makes the levels those of now. b.mu is held.
func (b *board) refresh() {
	if b.mu.closed {
		return
	}
	now := time.Now()
	if b.mu.levels.expire(now) {
		b.notify()
	}
	b.arm(now)
}

// arm sets the timer for the next node that expires. b.mu is held.
func (b *board) arm(now time.Time) {
	next := b.mu.levels.next()
	switch {
	case next.IsZero() && b.mu.expiry != nil:
		b.mu.expiry.Stop()
	case next.IsZero():
	case b.mu.expiry == nil:
		b.mu.expiry = time.AfterFunc(next.Sub(now), b.expire)
	default:
		b.mu.expiry.Reset(next.Sub(now))
	}
}

// notify tells the watchers what the load is now. b.mu is held.
func (b *board) notify() {
	for w := range b.mu.watchers {
		w.push(b.mu.levels.load())
	}
}

func (b *board) load() Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
	return b.mu.levels.load()
}

func (b *board) ofNodes(name string) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
	return b.mu.levels.ofNodes(name)
}

func (b *board) watch(fn func(Load)) (*watcher, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.closed {
		return nil, penstock.ErrClosed
	}
	b.refresh()
	w := &watcher{board: b, fn: fn}
	w.mu.pending, w.mu.running = []Load{b.mu.levels.load()}, true
	b.mu.watchers[w] = struct{}{}
	return w, nil
}

func (b *board) unwatch(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.watchers, w)
	w.stop()
}

func (b *board) subscribe(buffer int) (*supervisor.Subscription[Event], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.closed {
		return nil, penstock.ErrClosed
	}
	return b.mu.feed.Subscribe(buffer), nil
}

// close shows nothing any more, and tells nobody.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.closed = true
	b.mu.levels = newLevels()
	if b.mu.expiry != nil {
		b.mu.expiry.Stop()
	}
	for w := range b.mu.watchers {
		w.stop()
	}
	clear(b.mu.watchers)
	b.mu.feed.Close()
}
