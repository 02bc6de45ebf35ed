package queue

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
)

// instruments are the OpenTelemetry instruments of a system's queues. Their attributes are the system, the queue and the
// outcome: queues' names are configuration, flows and requests are never told.
// What happens at the gates is counted there and read when metrics are collected, so that a pass costs nothing extra.
type instruments struct {
	system       attribute.KeyValue
	waits        metric.Float64Histogram
	drops        metric.Int64Counter
	registration metric.Registration
}

func newInstruments(sys *penstock.System, m *room) (*instruments, error) {
	meter := sys.Meter()
	in := &instruments{system: attribute.String("penstock.system", sys.Name())}
	var errs [7]error
	in.waits, errs[0] = meter.Float64Histogram("penstock.queue.wait",
		metric.WithDescription("How long requests waited for their turn, those that went at once left out."), metric.WithUnit("s"))
	in.drops, errs[1] = meter.Int64Counter("penstock.queue.dropped",
		metric.WithDescription("Jobs that nobody gave back, found when they were garbage-collected."), metric.WithUnit("{job}"))
	requests, err := meter.Int64ObservableCounter("penstock.queue.requests",
		metric.WithDescription("Requests by what became of them."), metric.WithUnit("{request}"))
	errs[2] = err
	waiting, err := meter.Int64ObservableGauge("penstock.queue.waiting",
		metric.WithDescription("Requests that wait now."), metric.WithUnit("{request}"))
	errs[3] = err
	running, err := meter.Int64ObservableGauge("penstock.queue.running",
		metric.WithDescription("Jobs that were let go and are not done."), metric.WithUnit("{job}"))
	errs[4] = err
	limits, err := meter.Float64ObservableGauge("penstock.queue.limit",
		metric.WithDescription("The limit of a regulator that is in force."))
	errs[5] = err
	in.registration, errs[6] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for e := range m.queues.All() {
			q := e.Value.queue
			info := q.Info()
			o.ObserveInt64(requests, int64(info.Granted), q.metrics.outcome("granted"))
			o.ObserveInt64(requests, int64(info.GaveUp), q.metrics.outcome("gave_up"))
			for why := Full; why < reasons; why++ {
				o.ObserveInt64(requests, int64(info.Refused[why]), q.metrics.outcome(why.String()))
			}
			o.ObserveInt64(waiting, int64(info.Waiting), q.metrics.plain)
			o.ObserveInt64(running, int64(info.Running), q.metrics.plain)
			for _, r := range info.Regulators {
				o.ObserveFloat64(limits, r.Limit, metric.WithAttributes(in.system, q.metrics.queue, attribute.String("penstock.regulator", r.Name)))
			}
		}
		return nil
	}, requests, waiting, running, limits)
	return in, errors.Join(errs[:]...)
}

func (in *instruments) close() { _ = in.registration.Unregister() }

// metrics are the instruments as one queue uses them, with its attributes made once.
type metrics struct {
	*instruments
	queue    attribute.KeyValue
	plain    metric.MeasurementOption
	waitsBy  [reasons][]metric.RecordOption
	gaveUpBy []metric.RecordOption
	dropBy   []metric.AddOption
}

func (in *instruments) of(queue string) *metrics {
	m := &metrics{instruments: in, queue: attribute.String("penstock.queue", queue)}
	m.plain = metric.WithAttributeSet(attribute.NewSet(in.system, m.queue))
	for why := granted; why < reasons; why++ {
		m.waitsBy[why] = []metric.RecordOption{m.outcome(why.String())}
	}
	m.gaveUpBy = []metric.RecordOption{m.outcome("gave_up")}
	m.dropBy = []metric.AddOption{m.plain}
	return m
}

func (m *metrics) outcome(name string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(m.system, m.queue, attribute.String("penstock.outcome", name)))
}

func (m *metrics) waited(ctx context.Context, why Reason, d time.Duration) {
	m.waits.Record(ctx, d.Seconds(), m.waitsBy[why]...)
}

func (m *metrics) gaveUp(ctx context.Context, d time.Duration) {
	m.waits.Record(ctx, d.Seconds(), m.gaveUpBy...)
}

func (m *metrics) dropped() { m.drops.Add(context.Background(), 1, m.dropBy...) }
