package batch

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/cluster"
)

// trip is what a shard does in one go: load the resources of some keys, or run and save their batches. It can be taken up
// by another goroutine where it was left.
type trip[K comparable, R any] struct {
	processor *Processor[K, R]
	line      []*resource[K, R] // as they stood in line
	loads     bool
	stops     []stop[K, R] // batches that are still to be done
	boarded   bool
	at        int     // whose operations are run
	called    bool    // a user's Load or Save was called
	single    [1]R    // of Load, whose trips have one stop
	values    []R     // that were loaded
	errs      []error // of each stop; nil if it has none of its own
}

// reset makes the trip one that has not begun, and keeps its slices.
func (t *trip[K, R]) reset(p *Processor[K, R], loads bool) {
	clear(t.line)
	clear(t.stops)
	*t = trip[K, R]{processor: p, loads: loads, line: t.line[:0], stops: t.stops[:0]}
}

// stop is a batch, and the resource that it had when the trip began: by its end, the resource may have another batch.
type stop[K comparable, R any] struct {
	*resource[K, R]
	run *run[R]
}

func (t *trip[K, R]) do(self uint64) {
	switch {
	case t.loads:
		t.board(loading)
		t.load()
	default:
		t.board(running)
		for ; t.at < len(t.stops); t.at++ {
			t.operate(t.stops[t.at], self)
		}
		t.save()
	}
}

// board begins the trip: it moves its batches on, and leaves out those that were given up while they stood in line, and those whose
// key is no longer this node's.
func (t *trip[K, R]) board(to phase) {
	if t.boarded {
		return
	}
	t.boarded = true
	for _, r := range t.line {
		r.mu.Lock()
		switch s := (stop[K, R]{r, r.state.batch}); {
		case s.returned():
		case !t.processor.holds(s):
			t.processor.lost(s, nil)
		default:
			s.run.phase = to
			t.stops = append(t.stops, s)
		}
		r.mu.Unlock()
	}
}

// keep leaves out the batches for which it is false; it is called with the resource's mutex held.
func (t *trip[K, R]) keep(still func(s stop[K, R]) bool) {
	left := t.stops[:0]
	for _, s := range t.stops {
		s.mu.Lock()
		if still(s) {
			left = append(left, s)
		}
		s.mu.Unlock()
	}
	clear(t.stops[len(left):])
	t.stops = left
}

func (t *trip[K, R]) keys() []K {
	keys := make([]K, len(t.stops))
	for i, s := range t.stops {
		keys[i] = s.entry.Key()
	}
	return keys
}

// call calls a user's Load or Save, with a context that ends when the last of the batches is to be done.
func (t *trip[K, R]) call() (took time.Duration, err error) {
	if t.called {
		return 0, errGoexit
	}
	t.called = true
	p := t.processor
	start := p.clock.Elapsed()
	deadline := start
	for _, s := range t.stops {
		deadline = max(deadline, s.run.deadline)
	}
	ctx := &lateContext{parent: t.epochs(p.life), deadline: p.clock.At(deadline)}
	defer func() {
		ctx.end()
		took = p.clock.Elapsed() - start
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	if t.loads {
		return 0, t.callLoad(ctx)
	}
	return 0, t.callSave(ctx)
}

// epochs gives a user's function the epochs under which its keys are this node's.
func (t *trip[K, R]) epochs(ctx context.Context) context.Context {
	cfg := &t.processor.cfg
	switch {
	case t.processor.peers == nil:
		return ctx
	case t.loads && cfg.LoadMany == nil, !t.loads && cfg.SaveMany == nil:
		return cluster.WithEpoch(ctx, t.stops[0].run.epoch)
	}
	epochs := make([]int64, len(t.stops))
	for i, s := range t.stops {
		epochs[i] = s.run.epoch
	}
	return cluster.WithEpochs(ctx, epochs)
}

// each is the error of the stop that has this number.
func each(err error, errs []error, i int) error {
	if err == nil && errs != nil {
		return errs[i]
	}
	return err
}

// load loads the resources of the trip's keys.
func (t *trip[K, R]) load() {
	if len(t.stops) == 0 {
		return
	}
	t.errs = nil
	took, err := t.call()
	for i, s := range t.stops {
		if failure := each(err, t.errs, i); failure != nil {
			t.processor.loadFailed(s, took, failure)
			continue
		}
		t.processor.loaded(s, took, t.values[i])
	}
}

func (t *trip[K, R]) callLoad(ctx context.Context) (err error) {
	cfg := &t.processor.cfg
	if cfg.LoadMany == nil {
		t.values = t.single[:]
		t.values[0], err = cfg.Load(ctx, t.stops[0].entry.Key())
		return err
	}
	t.values, t.errs = cfg.LoadMany(ctx, t.keys())
	if len(t.values) != len(t.stops) || len(t.errs) != len(t.stops) {
		return fmt.Errorf("LoadMany returned %d values and %d errors for %d keys", len(t.values), len(t.errs), len(t.stops))
	}
	return nil
}

// operate runs the operations of a batch.
func (t *trip[K, R]) operate(s stop[K, R], self uint64) {
	b, size := s.run, t.processor.cfg.Size
	value := s.state.value // nobody else touches it while the batch is run and saved
	s.operating.Store(self)
	defer s.operating.Store(0)
	for b.at < len(b.ops) && b.aborted == nil {
		o := b.ops[b.at]
		b.at++ // before it runs: if it ends this goroutine, the next one goes on after it
		if !o.start(b.tries > 0) {
			continue
		}
		b.ran++
		b.aborted = o.run(value)
		if size != nil && b.aborted == nil && t.large(b, value) {
			break
		}
	}
}

// large reports whether a batch's resource has grown so large that it is to be saved.
func (t *trip[K, R]) large(b *run[R], value R) bool {
	defer func() {
		if reason := recover(); reason != nil {
			b.aborted = &AbortError{Cause: fmt.Errorf("the function Size: %w", &penstock.PanicError{Value: reason, Stack: debug.Stack()})}
		}
	}()
	return t.processor.cfg.Size(value) >= t.processor.cfg.MaxBytes
}

// save saves what the trip's batches have changed.
func (t *trip[K, R]) save() {
	p := t.processor
	if !t.called {
		t.keep(p.toBeSaved)
	}
	if len(t.stops) == 0 {
		return
	}
	t.errs = nil
	took, err := t.call()
	for i, s := range t.stops {
		p.saved(s, took, each(err, t.errs, i))
	}
}

func (t *trip[K, R]) callSave(ctx context.Context) error {
	cfg := &t.processor.cfg
	switch {
	case cfg.SaveMany != nil:
		values := make([]R, len(t.stops))
		for i, s := range t.stops {
			values[i] = s.state.value
		}
		t.errs = cfg.SaveMany(ctx, t.keys(), values)
		if len(t.errs) != len(t.stops) {
			return fmt.Errorf("SaveMany returned %d errors for %d keys", len(t.errs), len(t.stops))
		}
	case cfg.Save != nil:
		return cfg.Save(ctx, t.stops[0].entry.Key(), t.stops[0].state.value)
	}
	return nil
}
