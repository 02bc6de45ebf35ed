package sampler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// measurement is one sample: the goroutine that takes it, and then the message that brings it to the actor.
type measurement struct {
	gate   *gate
	run    uint64 // its number, which tells it from those before and after
	sample Sample // At is set also if it was missed
	value  float64
	err    error
}

// Undelivered implements supervisor.Undeliverable: the actor failed on it or has ended. It is as if it had never been begun.
func (m *measurement) Undelivered(error) { m.gate.abandon(m) }

// measure takes the sample and hands it to the actor, whatever the user's functions do.
func (m *measurement) measure(ctx context.Context) {
	g := m.gate
	defer g.room.workers.end()
	m.err = errGoexit
	defer func() {
		if m.err != nil {
			m.sample.At = time.Now()
		}
		g.room.children.Send(g.handle.entry, m)
	}()
	m.err = m.ask(ctx)
}

// ask asks the source while nobody else does.
func (m *measurement) ask(ctx context.Context) error {
	g := m.gate
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	return guard(func() (err error) {
		if m.sample.Value, err = g.cfg.Source.Sample(ctx); err != nil {
			return err
		}
		m.sample.At = time.Now()
		if err := finite(m.sample.Value); err != nil {
			return fmt.Errorf("the source: %w", err)
		}
		m.value = g.cfg.Calc(g.with(m.sample))
		if err := finite(m.value); err != nil {
			return fmt.Errorf("the function Calc: %w", err)
		}
		return nil
	})
}

var errNoNumber = errors.New("the value is not a finite number")

func finite(x float64) error {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("%w: %v", errNoNumber, x)
	}
	return nil
}
