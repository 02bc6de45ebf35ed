package batch

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
)

// lane is where keys stand in line for their loads and saves: one line for all shards, or one for each.
type lane[K comparable, R any] struct {
	processor *Processor[K, R]
	shards    int

	mu      sync.Mutex
	loads   line[K, R]
	works   line[K, R]
	running int // shards, those that wait for something to do included
	idle    int // … which are these
	called  int // shards that are no longer idle, and have not noticed
	more    *sync.Cond
	over    bool
}

func newLane[K comparable, R any](p *Processor[K, R], shards int) *lane[K, R] {
	l := &lane[K, R]{processor: p, shards: shards}
	l.more = sync.NewCond(&l.mu)
	return l
}

// close ends the shards that have nothing to do.
func (l *lane[K, R]) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.more.Broadcast()
}

// line is first in, first out.
type line[K comparable, R any] struct {
	list []*resource[K, R]
	head int
}

func (l *line[K, R]) len() int { return len(l.list) - l.head }

func (l *line[K, R]) push(r *resource[K, R]) {
	if l.head > 32 && l.head > l.len() { // a line that is never empty must not grow for ever
		n := copy(l.list, l.list[l.head:])
		clear(l.list[n:])
		l.list, l.head = l.list[:n], 0
	}
	l.list = append(l.list, r)
}

// pop takes the first n, or as many as there are, into a trip.
func (l *line[K, R]) pop(n int, into *trip[K, R]) {
	n = min(n, l.len())
	into.line = append(into.line, l.list[l.head:l.head+n]...)
	clear(l.list[l.head : l.head+n])
	if l.head += n; l.head == len(l.list) {
		l.list, l.head = l.list[:0], 0
	}
}

func (l *lane[K, R]) load(r *resource[K, R]) { l.enter(&l.loads, r) }
func (l *lane[K, R]) work(r *resource[K, R]) { l.enter(&l.works, r) }

func (l *lane[K, R]) enter(line *line[K, R], r *resource[K, R]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line.push(r)
	switch {
	case l.idle > 0:
		l.idle-- // here and not when it wakes: what comes before that needs another one
		l.called++
		l.more.Signal()
	case l.running < l.shards:
		l.running++
		go l.shard(nil)
	}
}

// shard does what is in line until the processor closes; t is a trip that another goroutine has left.
func (l *lane[K, R]) shard(t *trip[K, R]) {
	self := goroutine()
	finished := false
	defer func() {
		if !finished { // a user's function has ended this goroutine: another one goes on where it stopped
			go l.shard(t)
		}
	}()
	if t != nil {
		t.do(self)
	}
	t = new(trip[K, R])
	for l.take(t) {
		t.do(self)
	}
	finished = true
}

// take is what a shard does next: what was begun is finished first. false: there is nothing, and the shard ends.
func (l *lane[K, R]) take(t *trip[K, R]) bool {
	cfg := &l.processor.cfg
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.works.len() == 0 && l.loads.len() == 0 {
		if l.over {
			l.running--
			return false
		}
		l.idle++
		l.more.Wait()
		if l.called > 0 {
			l.called--
		} else { // the processor closes
			l.idle--
		}
	}
	switch {
	case l.works.len() > 0:
		t.reset(l.processor, false)
		l.works.pop(many(cfg.SaveMany != nil, cfg.MaxMany), t)
	default:
		t.reset(l.processor, true)
		l.loads.pop(many(cfg.LoadMany != nil, cfg.MaxMany), t)
	}
	return true
}

func many(yes bool, most int) int {
	if yes {
		return most
	}
	return 1
}

// goroutine is the number of the calling goroutine, which it has while it lives. The runtime tells it nowhere but here.
func goroutine() uint64 {
	var buffer [64]byte
	text := buffer[:runtime.Stack(buffer[:], false)]
	text = bytes.TrimPrefix(text, []byte("goroutine "))
	n, _ := strconv.ParseUint(string(text[:max(bytes.IndexByte(text, ' '), 0)]), 10, 64)
	return n
}
