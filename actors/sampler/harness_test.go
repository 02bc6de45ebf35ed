package sampler

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

// add starts a sampler with the thresholds 1, 2 and 3, unless cfg has others, and no hysteresis.
func add(t testing.TB, sys *penstock.System, name string, cfg Config) *Sampler {
	t.Helper()
	if cfg.Thresholds == nil {
		cfg.Thresholds = []float64{1, 2, 3}
	}
	if cfg.Hysteresis == 0 {
		cfg.Hysteresis = NoHysteresis
	}
	s, err := Add(sys, name, cfg)
	require.NoError(t, err)
	return s
}

// after lets d of virtual time pass, and everything that happens meanwhile come to rest.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// half is between two samples.
const half = 500 * time.Millisecond

// dial is a source that a test sets. It fails the test if its methods are called at the same time.
type dial struct {
	t      testing.TB
	mu     sync.Mutex
	value  float64
	err    error
	panics any
	slow   time.Duration // it takes that long, or until its context ends
	deaf   bool          // to its context
	calls  int
	told   []any
	at     []time.Time
	closed int
	busy   bool
}

func (d *dial) set(value float64) { d.change(func() { d.value = value }) }

func (d *dial) change(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn()
}

func (d *dial) enter() {
	if d.busy {
		d.t.Error("the source is used twice at once")
	}
	if d.closed > 0 {
		d.t.Error("the source is used after it was closed")
	}
	d.busy = true
}

func (d *dial) Sample(ctx context.Context) (float64, error) {
	d.mu.Lock()
	d.enter()
	d.calls++
	d.at = append(d.at, time.Now())
	slow, deaf := d.slow, d.deaf
	d.mu.Unlock()
	defer d.change(func() { d.busy = false })
	if slow > 0 {
		over := ctx.Done()
		if deaf {
			over = nil
		}
		select {
		case <-time.After(slow):
		case <-over:
			return 0, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.panics != nil {
		panic(d.panics)
	}
	return d.value, d.err
}

func (d *dial) Tell(message any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enter()
	defer func() { d.busy = false }()
	switch m := message.(type) {
	case error:
		return m
	case func():
		m()
	}
	d.told = append(d.told, message)
	return nil
}

func (d *dial) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enter()
	d.busy = false
	d.closed++
	return errors.New("the dial does not close well")
}

// count reads a number of the dial's.
func (d *dial) count(n *int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *n
}

// crash makes the sampler's actor panic, with the gate's lock in its hand.
func crash(s *Sampler) {
	s.entry.Value.room.children.Send(s.entry, (*measurement)(nil))
}

// seen is what a watcher was told.
type seen struct {
	mu   sync.Mutex
	list []Load
}

func (s *seen) add(l Load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, l)
}

// take returns what was told since the last call.
func (s *seen) take() []Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	return list
}
