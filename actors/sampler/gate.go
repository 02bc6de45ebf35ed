package sampler

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/registry"
)

// entry is a sampler's place in the directory; its gate survives the actor.
type entry = registry.Entry[string, gate]

// gate is what callers read of a sampler without a message, and what its actor and the measuring goroutine share.
type gate struct {
	handle Sampler
	room   *room
	cfg    Config
	as     metric.MeasurementOption // the sampler's attributes
	turn   chan struct{}            // holds a token while a method of the source is under way
	ended  chan struct{}            // closed at the sampler's end
	mu     struct {
		sync.Mutex
		state    state
		run      uint64             // the number of the sample under way, or of the last one
		measures context.CancelFunc // ends the sample under way; nil while there is none
		begun    time.Time          // when the sample under way was begun
		comeback *time.Timer        // rings for a sampler that was given up; nil if it never was
		over     bool
	}
	registry.Life
}

// open prepares a new entry.
func (g *gate) open(r *room, e *entry, cfg Config, now time.Time) {
	g.room, g.cfg = r, cfg
	g.handle.entry = e
	g.as = r.attributes(e.Key())
	g.turn = make(chan struct{}, 1)
	g.ended = make(chan struct{})
	g.mu.state = newState(cfg, now)
}

func (g *gate) name() string { return g.handle.entry.Key() }

// next is how long it is until the next sample is due; false if there will be none.
func (g *gate) next(now time.Time) (d time.Duration, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.state.due.Sub(now), !g.mu.over
}

// begin starts a sample if one is due. If the last one is still under way this one is missed.
func (g *gate) begin(now time.Time) (c change, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.mu.state
	if g.mu.over || !s.tick(now) {
		return change{}, false
	}
	if g.mu.measures != nil {
		return s.miss(now, fmt.Errorf("the source has been at work on one sample for %v", now.Sub(g.mu.begun)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.mu.run++
	g.mu.measures, g.mu.begun = cancel, now
	m := &measurement{gate: g, run: g.mu.run}
	g.room.workers.begin()
	go m.measure(ctx)
	return change{}, false
}

// finish takes in what became of the sample under way.
func (g *gate) finish(m *measurement) (c change, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.run != g.mu.run || g.mu.measures == nil {
		return change{}, false // it has been abandoned, or the sampler has ended
	}
	g.release()
	if m.err != nil {
		return g.mu.state.miss(m.sample.At, m.err)
	}
	return g.mu.state.take(m.sample, m.value)
}

// abandon forgets the sample under way, because nobody takes it in.
func (g *gate) abandon(m *measurement) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.run == g.mu.run {
		g.release()
	}
}

// release notes that no sample is under way any more. g.mu is held.
func (g *gate) release() {
	if g.mu.measures != nil {
		g.mu.measures()
		g.mu.measures = nil
	}
}

// with is the history as Calc sees it.
func (g *gate) with(s Sample) []Sample {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.state.with(s)
}

// dormant notes that the actor was given up. It is tried again after an interval.
func (g *gate) dormant(now time.Time, reason error) (c change, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.over {
		return change{}, false
	}
	if g.mu.comeback == nil {
		g.mu.comeback = time.AfterFunc(g.cfg.Interval, func() { g.room.children.Send(g.handle.entry, wake{}) })
	} else {
		g.mu.comeback.Reset(g.cfg.Interval)
	}
	return g.mu.state.fail(now, reason)
}

// end ends the sampler: its level is 0 from now on, and its source is closed once it is at rest.
func (g *gate) end(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.over {
		return
	}
	g.mu.over = true
	close(g.ended)
	if g.mu.comeback != nil {
		g.mu.comeback.Stop()
	}
	g.release()
	g.mu.state.fail(now, penstock.ErrClosed)
	if c, ok := g.cfg.Source.(io.Closer); ok {
		g.room.workers.begin()
		go g.close(c)
	}
}

// close closes the source as soon as nobody uses it.
func (g *gate) close(c io.Closer) {
	defer g.room.workers.end()
	g.turn <- struct{}{} // for good
	if err := guard(c.Close); err != nil {
		g.room.logger.Warn("a sampler's source was not closed properly", "sampler", g.name(), "err", err)
	}
}

// enter waits for the source to be free. The caller leaves it with leave.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.turn <- struct{}{}:
	case <-g.ended:
		return penstock.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-g.ended: // before or at the same moment
		g.leave()
		return penstock.ErrClosed
	default:
		return nil
	}
}

func (g *gate) leave() { <-g.turn }

func (g *gate) level() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.state.level
}

func (g *gate) info() Info {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.mu.state
	return Info{
		Name:       g.name(),
		Level:      s.level,
		Since:      s.since,
		Value:      s.value,
		History:    slices.Clone(s.history),
		Interval:   g.cfg.Interval,
		Thresholds: slices.Clone(s.thresholds),
		Missed:     s.missed,
		Err:        s.err,
	}
}
