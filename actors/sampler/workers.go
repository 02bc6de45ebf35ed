package sampler

import (
	"context"
	"sync"
)

// workers counts the goroutines that run users' functions, so that the end can wait for them.
type workers struct {
	mu   sync.Mutex
	n    int
	rest chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (w *workers) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
}

func (w *workers) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n--
	if w.n == 0 && w.rest != nil {
		close(w.rest)
		w.rest = nil
	}
}

// wait waits until none is at work, and returns how many still are when ctx ends.
func (w *workers) wait(ctx context.Context) int {
	for {
		w.mu.Lock()
		if w.n == 0 {
			w.mu.Unlock()
			return 0
		}
		if w.rest == nil {
			w.rest = make(chan struct{})
		}
		rest := w.rest
		w.mu.Unlock()
		select {
		case <-rest:
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.n
		}
	}
}
