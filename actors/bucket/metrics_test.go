package bucket

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
)

// collect returns every series as name{family,outcome} → its value, or its count for a histogram.
func collect(t *testing.T, reader sdk.Reader) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &rm))
	series := make(map[string]int64)
	add := func(name string, set attribute.Set, n int64) {
		require.LessOrEqual(t, set.Len(), 3, "the system, the family and the outcome, never an ID")
		system, _ := set.Value("penstock.system")
		require.Equal(t, "penstock", system.AsString())
		family, _ := set.Value("penstock.family")
		require.Equal(t, "test", family.AsString())
		if outcome, ok := set.Value("penstock.outcome"); ok {
			name += " " + outcome.AsString()
		}
		series[name] = n
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, int64(p.Count))
				}
			}
		}
	}
	return series
}

func TestB12_MetricsAndEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		provider := sdk.NewMeterProvider(sdk.WithReader(reader))
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		f := newFamily(t, Config{Limits: []limit.Limit{tenIn6s}, MaxBuckets: 1, Idle: time.Second},
			penstock.WithMeterProvider(provider), penstock.WithLogger(logger))
		b := f.Bucket("user")
		for range 12 {
			b.TryAcquire(Request{})
		}
		_, err := b.Acquire(within(t, time.Second), Request{})
		require.Error(t, err)
		_, err = Do(context.Background(), b, Request{}, func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		_, _ = Do(context.Background(), b, Request{}, func(context.Context) (int, error) { return 1, context.Canceled })
		assert.Error(t, f.Bucket("too many").TryAcquire(Request{}).Err)
		var c callers
		for range 10 {
			c.call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		assert.Equal(t, map[string]int64{
			"penstock.bucket.created ok":       1,
			"penstock.bucket.created error":    1,
			"penstock.bucket.requests passed":  10 + 2 + 8,
			"penstock.bucket.requests refused": 2,
			"penstock.bucket.wait ok":          1,
			"penstock.bucket.wait gave_up":     1,
			"penstock.bucket.run ok":           1,
			"penstock.bucket.run error":        1,
			"penstock.bucket.waiting":          2,
			"penstock.bucket.live":             1,
		}, collect(t, reader))
		c.wg.Wait()
		time.Sleep(time.Minute)
		after := collect(t, reader)
		assert.EqualValues(t, 0, after["penstock.bucket.live"])
		assert.EqualValues(t, 22, after["penstock.bucket.requests passed"], "buckets that were put away still count")

		for _, event := range []string{"bucket started", "bucket could not be started", "request waits", "request gave up waiting", "function ran"} {
			assert.Contains(t, log.String(), event)
		}
		require.NoError(t, f.Close(context.Background()))
		assert.Empty(t, collect(t, reader)["penstock.bucket.live"])
	})
}
