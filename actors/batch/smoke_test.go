package batch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := roomtest.System(t)
		db := map[string]int{}
		saves, conflicts := 0, 2
		p, err := NewProcessor(sys, "wallets", Config[string, *int]{
			MaxDuration: time.Second,
			Load:        func(_ context.Context, key string) (*int, error) { v := db[key]; return &v, nil },
			Save: func(_ context.Context, key string, v *int) error {
				if conflicts > 0 {
					conflicts--
					return ErrConflict
				}
				saves++
				db[key] = *v
				return nil
			},
		})
		require.NoError(t, err)
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { require.NoError(t, p.Run(context.Background(), "a", func(v *int) { *v++ })) })
		}
		wg.Wait()
		require.Equal(t, 100, db["a"])
		require.Equal(t, 1, saves)
		require.Less(t, time.Since(start), 120*time.Millisecond)
		n, err := Do(context.Background(), p, "a", func(v *int) (int, error) { return *v, nil })
		require.NoError(t, err)
		require.Equal(t, 100, n)
		boom := errors.New("boom")
		_, err = Do(context.Background(), p, "a", func(v *int) (int, error) { return 0, boom })
		require.ErrorIs(t, err, boom)
		require.Error(t, p.Run(context.Background(), "a", func(v *int) { panic("x") }))
		err = p.Run(context.Background(), "a", func(v *int) { err = p.Run(context.Background(), "a", func(*int) {}) })
		require.NoError(t, err)
		_, err = Do(context.Background(), p, "a", func(v *int) (int, error) { return 0, Abort(boom) })
		var aborted *AbortError
		require.ErrorAs(t, err, &aborted)
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, p.Run(ctx, "a", func(v *int) {}), ErrCancelled)
		wg.Go(func() { require.NoError(t, p.Run(context.Background(), "b", func(v *int) { *v++ })) })
		synctest.Wait()
		require.NoError(t, p.Close(context.Background()))
		wg.Wait()
		require.Equal(t, 1, db["b"])
		require.ErrorIs(t, p.Run(context.Background(), "b", func(v *int) { *v++ }), penstock.ErrClosed)
	})
}
