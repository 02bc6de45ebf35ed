package pool

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
)

// instruments are the OpenTelemetry instruments of a system's pools. Their attributes are the system, the pool and the
// outcome: pools' names are configuration, those of tasks are never told.
// What happens at the gates is counted there and read when metrics are collected.
type instruments struct {
	system       attribute.KeyValue
	durations    metric.Float64Histogram
	waits        metric.Float64Histogram
	registration metric.Registration
}

func newInstruments(sys *penstock.System, m *room) (*instruments, error) {
	meter := sys.Meter()
	in := &instruments{system: attribute.String("penstock.system", sys.Name())}
	var errs [8]error
	in.durations, errs[0] = meter.Float64Histogram("penstock.pool.duration",
		metric.WithDescription("How long functions took, from their start until they returned."), metric.WithUnit("s"))
	in.waits, errs[1] = meter.Float64Histogram("penstock.pool.wait",
		metric.WithDescription("How long tasks waited for room, those that had room at once left out."), metric.WithUnit("s"))
	tasks, err := meter.Int64ObservableCounter("penstock.pool.tasks",
		metric.WithDescription("Tasks by what became of them."), metric.WithUnit("{task}"))
	errs[2] = err
	gauge := func(i int, name, description, unit string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(description), metric.WithUnit(unit))
		errs[i] = err
		return g
	}
	workers := gauge(3, "penstock.pool.workers", "Workers that are taken.", "{worker}")
	memory := gauge(4, "penstock.pool.memory", "Memory that the tasks that run have declared.", "By")
	waiting := gauge(5, "penstock.pool.waiting", "Tasks that wait for room.", "{task}")
	stuck := gauge(6, "penstock.pool.stuck", "Functions that ignore the end of their context.", "{function}")
	in.registration, errs[7] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, p := range m.All() {
			g := p.gate()
			grp := g.lock()
			s, n := g.state, g.counts
			grp.unlock()
			of := g.pool.metrics
			for how := succeeded; how < rejected; how++ {
				o.ObserveInt64(tasks, int64(n.ended[how]), of.outcomes[how])
			}
			for why := NoWorkers; why < reasons; why++ {
				o.ObserveInt64(tasks, int64(n.rejected[why]), of.rejections[why])
			}
			o.ObserveInt64(workers, int64(s.workers), of.plain)
			o.ObserveInt64(memory, s.memory, of.plain)
			o.ObserveInt64(waiting, int64(s.waiting), of.plain)
			o.ObserveInt64(stuck, int64(s.stuck), of.plain)
		}
		return nil
	}, tasks, workers, memory, waiting, stuck)
	return in, errors.Join(errs[:]...)
}

func (in *instruments) close() { _ = in.registration.Unregister() }

// metrics are the instruments as one pool uses them, with its attributes made once.
type metrics struct {
	*instruments
	plain      metric.MeasurementOption
	outcomes   [outcomes]metric.MeasurementOption
	rejections [reasons]metric.MeasurementOption
	endedBy    [outcomes][]metric.RecordOption
	waitedBy   []metric.RecordOption
}

func (in *instruments) of(pool string) *metrics {
	name := attribute.String("penstock.pool", pool)
	with := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(more, in.system, name)...))
	}
	m := &metrics{instruments: in, plain: with()}
	m.waitedBy = []metric.RecordOption{m.plain}
	for how, outcome := range outcomeNames {
		m.outcomes[how] = with(attribute.String("penstock.outcome", outcome))
		m.endedBy[how] = []metric.RecordOption{m.outcomes[how]}
	}
	for why, reason := range reasonNames {
		m.rejections[why] = with(attribute.String("penstock.outcome", "rejected"), attribute.String("penstock.reason", reason))
	}
	return m
}

func (m *metrics) ended(how outcome, took time.Duration) {
	m.durations.Record(context.Background(), took.Seconds(), m.endedBy[how]...)
}

func (m *metrics) waited(d time.Duration) {
	m.waits.Record(context.Background(), d.Seconds(), m.waitedBy...)
}
