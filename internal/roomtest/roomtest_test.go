package roomtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/supervisor"
)

func TestASystemEndsWithItsTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a goroutine left behind would fail the bubble
		var sys *penstock.System
		t.Cleanup(func() {
			err := open(sys)
			assert.ErrorIs(t, err, penstock.ErrClosed)
		})
		sys = System(t, Deterministic(), penstock.WithName("mine"))
		assert.Equal(t, "mine", sys.Name())
		require.NoError(t, open(sys))
		assert.ErrorIs(t, EndedContext().Err(), context.Canceled)
		start := time.Now()
		<-Within(t, time.Minute).Done()
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// open starts something in the system.
func open(sys *penstock.System) error {
	var r supervisor.Room[int]
	return r.Open(sys.Tree(), supervisor.RoomSpec[int]{Kind: "test", Name: "test", Advance: func(int) time.Duration { return supervisor.Never }})
}

func TestCallersCountEndings(t *testing.T) {
	odd := errors.New("odd")
	ends := map[error]string{
		nil:                                "granted",
		context.Canceled:                   "gave up",
		context.DeadlineExceeded:           "gave up",
		penstock.ErrFull:                   "full",
		penstock.ErrClosed:                 "closed",
		&supervisor.GaveUpError{}:          "given up",
		&penstock.PanicError{}:             "panicked",
		fmt.Errorf("%w", context.Canceled): "gave up",
		odd:                                Other,
	}
	var c Callers
	own := Callers{Ending: func(err error) string {
		if errors.Is(err, odd) {
			return "odd"
		}
		return Ending(err)
	}}
	want := make(map[string]int)
	for err, end := range ends {
		want[end]++
		c.Call(func() error { return err })
		own.Call(func() error { return err })
	}
	c.Wait()
	own.Wait()
	assert.Equal(t, want, c.Ended())
	assert.Equal(t, len(ends), c.Total())
	assert.Equal(t, []error{odd}, c.Strange())
	assert.Equal(t, 1, own.Ended()["odd"])
	assert.Empty(t, own.Strange())
}

// TestWorstIsTheFullestWindow compares with trying every window that begins at a turn.
func TestWorstIsTheFullestWindow(t *testing.T) {
	for seed := range Seeds() {
		rng := rand.New(rand.NewPCG(seed, 0))
		begin := time.Now()
		var turns []Turn
		for range rng.IntN(40) {
			turns = append(turns, Turn{At: begin.Add(time.Duration(rng.IntN(30)) * time.Second), Cost: rng.IntN(4)})
		}
		window, want := time.Duration(1+rng.IntN(8))*time.Second, 0
		for _, first := range turns {
			held := 0
			for _, x := range turns {
				if d := x.At.Sub(first.At); d >= 0 && d < window {
					held += x.Cost
				}
			}
			want = max(want, held)
		}
		assert.Equal(t, want, Worst(turns, window), "seed %d", seed)
	}
}

// watched is a test whose failure can be looked at.
type watched struct {
	testing.TB
	failure string
}

func (w *watched) Helper()                           {}
func (w *watched) Errorf(format string, args ...any) { w.failure = fmt.Sprintf(format, args...) }
func (w *watched) FailNow()                          { panic(w) }

func TestSeriesAreNamedByTheirAttributes(t *testing.T) {
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	ctx, system := context.Background(), attribute.String("penstock.system", "test")
	sum, err := meter.Int64Counter("sum")
	require.NoError(t, err)
	sum.Add(ctx, 2, metric.WithAttributes(system, attribute.String("b", "x"), attribute.String("a", "y")))
	sum.Add(ctx, 3, metric.WithAttributes(system, attribute.String("b", "z")))
	times, err := meter.Float64Histogram("times")
	require.NoError(t, err)
	times.Record(ctx, 0.5, metric.WithAttributes(system))
	times.Record(ctx, 0.7, metric.WithAttributes(system))
	level, err := meter.Float64Gauge("level")
	require.NoError(t, err)
	level.Record(ctx, 1.5, metric.WithAttributes(system))
	assert.Equal(t, map[string]float64{"sum y x": 2, "sum z": 3, "times": 2, "level": 1.5}, Series(t, reader, "a", "b"))

	fails := func() (failure string) {
		w := &watched{TB: t}
		defer func() {
			if reason := recover(); reason != nil {
				failure = w.failure
				require.Same(t, w, reason)
			}
		}()
		Series(w, reader, "b")
		return ""
	}
	assert.Contains(t, fails(), "sum has the attribute a")
}
