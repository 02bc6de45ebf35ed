package queue

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
)

// passiveMetrics are the OpenTelemetry instruments of a system's passive queues. Their attributes are the system, the
// queue's name and what became of items. Everything is counted at the queues and read when metrics are collected.
type passiveMetrics struct{ registration metric.Registration }

func newPassiveMetrics(sys *penstock.System, r *passiveRoom) (*passiveMetrics, error) {
	var errs [5]error
	m, meter := &passiveMetrics{}, sys.Meter()
	items, err := meter.Int64ObservableCounter("penstock.queue.passive.items",
		metric.WithDescription("Items put into passive queues, taken, dropped, and calls refused."), metric.WithUnit("{item}"))
	errs[0] = err
	held, err := meter.Int64ObservableGauge("penstock.queue.passive.held",
		metric.WithDescription("Items that passive queues hold now."), metric.WithUnit("{item}"))
	errs[1] = err
	takers, err := meter.Int64ObservableGauge("penstock.queue.passive.takers",
		metric.WithDescription("Callers that wait for an item now."), metric.WithUnit("{caller}"))
	errs[2] = err
	oldest, err := meter.Float64ObservableGauge("penstock.queue.passive.oldest",
		metric.WithDescription("How long the oldest item has waited."), metric.WithUnit("s"))
	errs[3] = err
	system := attribute.String("penstock.system", sys.Name())
	m.registration, errs[4] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for name, q := range r.All() {
			info, queue := q.info(), attribute.String("penstock.queue", name)
			with := func(outcome string) metric.ObserveOption {
				return metric.WithAttributes(system, queue, attribute.String("penstock.outcome", outcome))
			}
			o.ObserveInt64(items, int64(info.Entered), with("entered"))
			o.ObserveInt64(items, int64(info.Taken), with("taken"))
			o.ObserveInt64(items, int64(info.Dropped), with("dropped"))
			o.ObserveInt64(items, int64(info.Refused), with("refused"))
			plain := metric.WithAttributes(system, queue)
			o.ObserveInt64(held, int64(info.Items), plain)
			o.ObserveInt64(takers, int64(info.Takers), plain)
			o.ObserveFloat64(oldest, info.OldestWait.Seconds(), plain)
		}
		return nil
	}, items, held, takers, oldest)
	return m, errors.Join(errs[:]...)
}

func (m *passiveMetrics) close() { _ = m.registration.Unregister() }
