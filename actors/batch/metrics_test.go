package batch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestK12_AReportTellsHowABatchWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MaxDuration, cfg.Backoff = time.Hour, time.Second
		d.beforeLoad = func(context.Context, string) error { time.Sleep(10 * time.Millisecond); return nil }
		fail := false
		conflicts := 2
		d.beforeSave = func(_ context.Context, key string) error {
			time.Sleep(20 * time.Millisecond)
			if fail {
				return errSave
			}
			if conflicts--; conflicts >= 0 {
				d.write(key, 100)
			}
			return nil
		}
		p := newProcessor(t, cfg)
		reports := p.Subscribe(10)
		time.Sleep(5 * time.Second)
		begin := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		gone := startIn(ctx, p, "a", note(2))
		first := start(p, "a", note(1))
		second := startDo(p, "a", noteAnd(3, errOwn))
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gone, ErrCancelled)
		require.NoError(t, <-first)
		require.ErrorIs(t, <-second, errOwn)
		took := time.Since(begin)
		r := <-reports.Events()
		require.WithinDuration(t, begin, r.Start, 0)
		require.Equal(t, Report[string]{Key: "a", Start: r.Start, Operations: 2, Conflicts: 2, Load: 30 * time.Millisecond, Save: 60 * time.Millisecond, Total: took}, r,
			"an operation's own error is not the batch's")
		fail = true
		require.ErrorIs(t, p.Run(context.Background(), "b", note(1)), errSave)
		r = <-reports.Events()
		require.Equal(t, "b", r.Key)
		require.ErrorIs(t, r.Err, errSave)
		require.Equal(t, 1, r.Operations)
		_, err := Do(context.Background(), p, "b", noteAnd(1, Abort(errOwn)))
		require.ErrorIs(t, err, errOwn)
		r = <-reports.Events()
		var aborted *AbortError
		require.ErrorAs(t, r.Err, &aborted)
		require.Zero(t, r.Save)
		require.NoError(t, p.Close(context.Background()))
		_, more := <-reports.Events()
		require.False(t, more, "the subscription ends with the processor")
		_, more = <-p.Subscribe(1).Events()
		require.False(t, more)
	})
}

func TestK12_ASlowReaderHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(table)
		cfg := d.config()
		cfg.MinDuration = NoWait
		p := newProcessor(t, cfg)
		slow, quick := p.Subscribe(3), p.Subscribe(100)
		begin := time.Now()
		for i := range 50 {
			must(t, p, "a", note(i))
		}
		require.Zero(t, time.Since(begin))
		synctest.Wait() // a report comes after the answers
		require.EqualValues(t, 47, slow.Dropped())
		require.Zero(t, quick.Dropped())
		require.Len(t, quick.Events(), 50)
		slow.Close()
		must(t, p, "a", note(50))
		synctest.Wait()
		require.EqualValues(t, 47, slow.Dropped())
	})
}

func TestK12_Metrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdk.NewManualReader()
		d := new(table)
		cfg := d.config()
		cfg.MaxWaiting, cfg.MaxDuration = 3, time.Hour
		d.beforeLoad = func(context.Context, string) error { time.Sleep(time.Millisecond); return nil }
		d.conflicts(1)
		p := newProcessor(t, cfg, penstock.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
		var answers []chan error
		for i := range 3 {
			answers = append(answers, start(p, "secret", note(i)))
		}
		synctest.Wait()
		require.ErrorIs(t, p.Run(context.Background(), "secret", note(3)), penstock.ErrFull)
		series := func() map[string]float64 {
			synctest.Wait() // what is recorded is recorded after the answers
			return roomtest.Series(t, reader, "penstock.batch", "penstock.outcome")
		}
		require.Equal(t, map[string]float64{
			"penstock.batch.pending test": 3, "penstock.batch.keys test": 1, "penstock.batch.refused test": 1, "penstock.batch.conflicts test": 0,
		}, series())
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		d.beforeSave = func(context.Context, string) error { return errSave }
		require.ErrorIs(t, p.Run(context.Background(), "secret", note(1)), errSave)
		require.Equal(t, map[string]float64{
			"penstock.batch.pending test": 0, "penstock.batch.keys test": 1, "penstock.batch.refused test": 1, "penstock.batch.conflicts test": 1,
			"penstock.batch.load test saved": 1, "penstock.batch.save test saved": 1, "penstock.batch.duration test saved": 1, "penstock.batch.operations test saved": 1,
			"penstock.batch.load test failed": 1, "penstock.batch.save test failed": 1, "penstock.batch.duration test failed": 1, "penstock.batch.operations test failed": 1,
		}, series())
		require.NoError(t, p.Close(context.Background()))
		require.NotContains(t, series(), "penstock.batch.pending test", "what observes it is gone")
	})
}
