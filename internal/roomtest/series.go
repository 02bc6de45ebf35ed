package roomtest

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Series collects metrics: the value of each series, or the count of a histogram, by its name and the values of those of these
// attributes that it has, in this order, with a space before each. All series must name their system, and the test fails
// when one has another attribute: it might be a user's ID.
func Series(t testing.TB, reader metric.Reader, attributes ...attribute.Key) map[string]float64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &data))
	series := make(map[string]float64)
	add := func(name string, set attribute.Set, value float64) {
		require.True(t, set.HasValue("penstock.system"), "%s does not name its system", name)
		for _, a := range set.ToSlice() {
			require.True(t, a.Key == "penstock.system" || slices.Contains(attributes, a.Key), "%s has the attribute %s", name, a.Key)
		}
		for _, key := range attributes {
			if value, ok := set.Value(key); ok {
				name += " " + value.AsString()
			}
		}
		require.NotContains(t, series, name, "twice")
		series[name] = value
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch points := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range points.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range points.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range points.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[int64]:
				for _, p := range points.DataPoints {
					add(m.Name, p.Attributes, float64(p.Count))
				}
			case metricdata.Histogram[float64]:
				for _, p := range points.DataPoints {
					add(m.Name, p.Attributes, float64(p.Count))
				}
			default:
				require.Fail(t, "no test knows this kind of instrument", "%s: %T", m.Name, points)
			}
		}
	}
	return series
}
