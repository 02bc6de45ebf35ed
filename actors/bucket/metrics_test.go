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
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

func TestB12_MetricsAndEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
		_, err := b.Acquire(roomtest.Within(t, time.Second), Request{})
		require.Error(t, err)
		_, err = Do(context.Background(), b, Request{}, func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		_, _ = Do(context.Background(), b, Request{}, func(context.Context) (int, error) { return 1, context.Canceled })
		assert.Error(t, f.Bucket("too many").TryAcquire(Request{}).Err)
		var c roomtest.Callers
		for range 10 {
			c.Call(func() error { _, err := b.Acquire(context.Background(), Request{}); return err })
		}
		synctest.Wait()
		assert.Equal(t, map[string]float64{
			"penstock.bucket.created test ok":       1,
			"penstock.bucket.created test error":    1,
			"penstock.bucket.requests test passed":  10 + 2 + 8,
			"penstock.bucket.requests test refused": 2,
			"penstock.bucket.wait test ok":          1,
			"penstock.bucket.wait test gave_up":     1,
			"penstock.bucket.run test ok":           1,
			"penstock.bucket.run test error":        1,
			"penstock.bucket.waiting test":          2,
			"penstock.bucket.live test":             1,
		}, roomtest.Series(t, reader, "penstock.family", "penstock.outcome"))
		c.Wait()
		time.Sleep(time.Minute)
		after := roomtest.Series(t, reader, "penstock.family", "penstock.outcome")
		assert.EqualValues(t, 0, after["penstock.bucket.live test"])
		assert.EqualValues(t, 22, after["penstock.bucket.requests test passed"], "buckets that were put away still count")

		for _, event := range []string{"bucket started", "bucket could not be started", "request waits", "request gave up waiting", "function ran"} {
			assert.Contains(t, log.String(), event)
		}
		require.NoError(t, f.Close(context.Background()))
		assert.Empty(t, roomtest.Series(t, reader, "penstock.family", "penstock.outcome")["penstock.bucket.live test"])
	})
}
