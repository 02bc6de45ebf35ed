package sampler

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// register makes the room's OpenTelemetry instruments. They are read when metrics are collected.
func (r *room) register(meter metric.Meter) (metric.Registration, error) {
	level, err1 := meter.Int64ObservableGauge("penstock.sampler.level",
		metric.WithDescription("The level of load that a sampler says: 0 is none."))
	value, err2 := meter.Float64ObservableGauge("penstock.sampler.value",
		metric.WithDescription("The value that was compared with the sampler's thresholds last."))
	missed, err3 := meter.Int64ObservableCounter("penstock.sampler.missed",
		metric.WithDescription("Samples that were missed because the source failed or was not done in time."), metric.WithUnit("{sample}"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, g := range r.board.samplers() {
			info := g.info()
			o.ObserveInt64(level, int64(info.Level), g.as)
			o.ObserveInt64(missed, int64(info.Missed), g.as)
			if len(info.History) > 0 {
				o.ObserveFloat64(value, info.Value, g.as)
			}
		}
		return nil
	}, level, value, missed)
}
