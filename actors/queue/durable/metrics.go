package durable

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
)

// metrics are the OpenTelemetry instruments of a system's durable queues. Their attributes are the system, the queue's name
// and what became of items or commits.
type metrics struct {
	system       attribute.KeyValue
	commits      metric.Float64Histogram
	writes       metric.Int64Histogram
	registration metric.Registration
}

func newMetrics(sys *penstock.System, r *room) (*metrics, error) {
	m, meter := &metrics{system: attribute.String("penstock.system", sys.Name())}, sys.Meter()
	var errs [6]error
	m.commits, errs[0] = meter.Float64Histogram("penstock.queue.durable.commit",
		metric.WithDescription("How long it took to write and sync a batch."), metric.WithUnit("s"))
	m.writes, errs[1] = meter.Int64Histogram("penstock.queue.durable.batch",
		metric.WithDescription("How many callers shared a batch."), metric.WithUnit("{write}"))
	items, err := meter.Int64ObservableCounter("penstock.queue.durable.items",
		metric.WithDescription("Items put in, delivered, acknowledged, returned and dead, and calls refused."), metric.WithUnit("{item}"))
	errs[2] = err
	held, err := meter.Int64ObservableGauge("penstock.queue.durable.held",
		metric.WithDescription("Items that durable queues hold now: waiting, delayed, out or dead."), metric.WithUnit("{item}"))
	errs[3] = err
	takers, err := meter.Int64ObservableGauge("penstock.queue.durable.takers",
		metric.WithDescription("Callers that wait for an item now."), metric.WithUnit("{caller}"))
	errs[4] = err
	m.registration, errs[5] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, v := range r.All() {
			info, name := v.info(), attribute.String("penstock.queue", v.name)
			with := func(key, value string) metric.ObserveOption {
				return metric.WithAttributes(m.system, name, attribute.String(key, value))
			}
			for outcome, n := range map[string]uint64{
				"enqueued": info.Enqueued, "delivered": info.Delivered, "acknowledged": info.Acked,
				"returned": info.Returned, "dead": info.Died, "refused": info.Refused,
			} {
				o.ObserveInt64(items, int64(n), with("penstock.outcome", outcome))
			}
			for state, n := range map[string]int{"waiting": info.Waiting, "delayed": info.Delayed, "out": info.Out, "dead": info.Dead} {
				o.ObserveInt64(held, int64(n), with("penstock.state", state))
			}
			o.ObserveInt64(takers, int64(info.Takers), metric.WithAttributes(m.system, name))
		}
		return nil
	}, items, held, takers)
	return m, errors.Join(errs[:]...)
}

func (m *metrics) close() { _ = m.registration.Unregister() }

func (m *metrics) committed(queue string, writes int, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	with := metric.WithAttributes(m.system, attribute.String("penstock.queue", queue), attribute.String("penstock.outcome", outcome))
	m.commits.Record(context.Background(), took.Seconds(), with)
	m.writes.Record(context.Background(), int64(writes), with)
}
