package pool

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/penstock-go/penstock"
)

func TestMetricsTellWhatBecameOfTasks(t *testing.T) {
	reader := metric.NewManualReader()
	p := newPool(t, Config{MaxWorkers: 1}, penstock.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	_, err := Run(context.Background(), p, Task{Name: "secret"}, one)
	require.NoError(t, err)
	b := newBlocker()
	f := async(t, p, Task{MaxMemory: 7}, b.run)
	_, err = Run(context.Background(), p, Task{}, one)
	require.Error(t, err)
	require.True(t, f.Kill(nil))

	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &data))
	got := make(map[string]int64)
	for _, m := range data.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				outcome, _ := p.Attributes.Value("penstock.outcome")
				reason, _ := p.Attributes.Value("penstock.reason")
				got[m.Name+" "+outcome.AsString()+" "+reason.AsString()] += p.Value
				require.NotContains(t, p.Attributes.Encoded(attribute.DefaultEncoder()), "secret")
			}
		case metricdata.Gauge[int64]:
			for _, p := range d.DataPoints {
				got[m.Name] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				got[m.Name] += int64(p.Count)
			}
		}
	}
	for name, want := range map[string]int64{
		"penstock.pool.tasks succeeded ": 1, "penstock.pool.tasks killed ": 1, "penstock.pool.tasks rejected no_workers": 1,
		"penstock.pool.workers": 1, "penstock.pool.memory": 7, "penstock.pool.duration": 1,
	} {
		require.Equal(t, want, got[name], name)
	}
	close(b.release)
	require.NoError(t, p.Drain(context.Background()))
}
