package stat

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/penstock-go/penstock"
)

// metrics are a buffer's OpenTelemetry instruments. Their attributes are the system, the buffer and its kind: keys are never
// told.
type metrics struct {
	durations    metric.Float64Histogram
	sizes        metric.Int64Histogram
	drops        metric.Int64Counter
	over         metric.Int64Counter
	with         metric.MeasurementOption
	ok, failed   metric.MeasurementOption
	registration metric.Registration
}

func newMetrics(sys *penstock.System, kind Kind, name string, info func() Info) (*metrics, error) {
	meter := sys.Meter()
	attributes := []attribute.KeyValue{
		attribute.String("penstock.system", sys.Name()), attribute.String("penstock.stat", name), attribute.String("penstock.kind", string(kind))}
	with := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(more, attributes...)...))
	}
	m := &metrics{with: with(), ok: with(attribute.String("penstock.outcome", "stored")), failed: with(attribute.String("penstock.outcome", "failed"))}
	var errs [9]error
	m.durations, errs[0] = meter.Float64Histogram("penstock.stat.duration",
		metric.WithDescription("How long the sink took for a flush, by what came of it."), metric.WithUnit("s"))
	m.sizes, errs[1] = meter.Int64Histogram("penstock.stat.deltas",
		metric.WithDescription("Deltas in flushes that were stored."), metric.WithUnit("{delta}"))
	m.drops, errs[2] = meter.Int64Counter("penstock.stat.dropped",
		metric.WithDescription("Deltas that were given up."), metric.WithUnit("{delta}"))
	m.over, errs[3] = meter.Int64Counter("penstock.stat.overflowed",
		metric.WithDescription("Increments of keys beyond the bounds that the overflow key counted."), metric.WithUnit("{increment}"))
	gauge := func(i int, name, description, unit string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(description), metric.WithUnit(unit))
		errs[i] = err
		return g
	}
	keys := gauge(4, "penstock.stat.keys", "Keys that the buffer has.", "{key}")
	unflushed := gauge(5, "penstock.stat.unflushed", "Keys that hold counts which are not in a flush yet.", "{key}")
	waiting := gauge(6, "penstock.stat.waiting", "Flushes that are not stored yet.", "{flush}")
	oldest, err := meter.Float64ObservableGauge("penstock.stat.oldest",
		metric.WithDescription("The age of the oldest count that is not stored."), metric.WithUnit("s"))
	errs[7] = err
	m.registration, errs[8] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i := info()
		o.ObserveInt64(keys, int64(i.Keys), m.with)
		o.ObserveInt64(unflushed, int64(i.Unflushed), m.with)
		o.ObserveInt64(waiting, int64(i.Waiting+i.Running), m.with)
		o.ObserveFloat64(oldest, i.Oldest.Seconds(), m.with)
		return nil
	}, keys, unflushed, waiting, oldest)
	return m, errors.Join(errs[:]...)
}

func (m *metrics) close() { _ = m.registration.Unregister() }

func (m *metrics) flushed(deltas int, took time.Duration, err error) {
	if err != nil {
		m.durations.Record(context.Background(), took.Seconds(), m.failed)
		return
	}
	m.durations.Record(context.Background(), took.Seconds(), m.ok)
	m.sizes.Record(context.Background(), int64(deltas), m.with)
}

func (m *metrics) dropped(deltas int) { m.drops.Add(context.Background(), int64(deltas), m.with) }
func (m *metrics) overflowed()        { m.over.Add(context.Background(), 1, m.with) }
