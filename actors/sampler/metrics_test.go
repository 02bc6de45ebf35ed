package sampler

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/penstock-go/penstock"
)

// collect returns every series as name sampler → its value.
func collect(t *testing.T, reader sdk.Reader) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &rm))
	series := make(map[string]float64)
	add := func(name string, set attribute.Set, n float64) {
		require.Equal(t, 2, set.Len())
		system, _ := set.Value("penstock.system")
		require.Equal(t, "penstock", system.AsString())
		of, _ := set.Value("penstock.sampler")
		series[name+" "+of.AsString()] = n
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			}
		}
	}
	return series
}

func TestQ21_Metrics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		sys := newSystem(t, penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
		assert.Empty(t, collect(t, reader))
		add(t, sys, "good", Config{Source: &dial{t: t, value: 2.5}})
		add(t, sys, "bad", Config{Source: &dial{t: t, err: errors.New("broken")}})
		after(3*time.Second + half)
		assert.Equal(t, map[string]float64{
			"penstock.sampler.level good":  2,
			"penstock.sampler.value good":  2.5,
			"penstock.sampler.missed good": 0,
			"penstock.sampler.level bad":   0,
			"penstock.sampler.missed bad":  3,
		}, collect(t, reader), "no value where none was measured")
		Delete(sys, "bad")
		assert.Len(t, collect(t, reader), 3)
		require.NoError(t, sys.Close(context.Background()))
		assert.Empty(t, collect(t, reader))
	})
}
