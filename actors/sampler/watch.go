package sampler

import (
	"runtime/debug"
	"sync"
)

// maxPending is how many loads wait for a watcher that is behind. It bounds memory; a load is a few hundred bytes.
const maxPending = 256

// watcher calls a user's function with one load after the other. While there is none to tell it has no goroutine.
type watcher struct {
	board *board
	fn    func(Load)
	mu    struct {
		sync.Mutex
		pending []Load
		running bool // somebody is calling fn, or about to
	}
}

// push hands the watcher a load. The oldest of too many is dropped: the newest says all there is.
func (w *watcher) push(l Load) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.pending) == maxPending {
		w.mu.pending = w.mu.pending[1:]
	}
	w.mu.pending = append(w.mu.pending, l)
	if !w.mu.running {
		w.start()
	}
}

// start begins to call fn on a goroutine of its own. w.mu is held.
func (w *watcher) start() {
	w.mu.running = true
	w.board.workers.begin()
	go w.run()
}

// run calls fn with what there is. Should fn end its goroutine, another one goes on.
func (w *watcher) run() {
	defer w.board.workers.end()
	defer w.goOn()
	for w.step() {
	}
}

// goOn sees to it that somebody calls fn while there is something to tell.
func (w *watcher) goOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.running = false
	if len(w.mu.pending) > 0 {
		w.start()
	}
}

// step calls fn with the next load, and reports whether there was one.
func (w *watcher) step() bool {
	w.mu.Lock()
	if len(w.mu.pending) == 0 {
		w.mu.Unlock()
		return false
	}
	next := w.mu.pending[0]
	w.mu.pending = w.mu.pending[1:]
	w.mu.Unlock()
	defer func() {
		if reason := recover(); reason != nil {
			w.board.logger.Error("a watcher of the load panicked", "panic", reason, "stack", string(debug.Stack()))
		}
	}()
	w.fn(next)
	return true
}

// stop sees to it that no further call begins. The board no longer knows the watcher.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.pending = nil
}
