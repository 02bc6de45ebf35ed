package sampler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestQ21_Metrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		sys := roomtest.System(t, penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
		assert.Empty(t, roomtest.Series(t, reader, "penstock.sampler"))
		add(t, sys, "good", Config{Source: &dial{t: t, value: 2.5}})
		add(t, sys, "bad", Config{Source: &dial{t: t, err: errors.New("broken")}})
		after(3*time.Second + half)
		assert.Equal(t, map[string]float64{
			"penstock.sampler.level good":  2,
			"penstock.sampler.value good":  2.5,
			"penstock.sampler.missed good": 0,
			"penstock.sampler.level bad":   0,
			"penstock.sampler.missed bad":  3,
		}, roomtest.Series(t, reader, "penstock.sampler"), "no value where none was measured")
		Delete(sys, "bad")
		assert.Len(t, roomtest.Series(t, reader, "penstock.sampler"), 3)
		require.NoError(t, sys.Close(context.Background()))
		assert.Empty(t, roomtest.Series(t, reader, "penstock.sampler"))
	})
}
