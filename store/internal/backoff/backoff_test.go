package backoff

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWaitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			try  int
			most time.Duration
		}{{0, time.Millisecond}, {1, time.Millisecond}, {2, 2 * time.Millisecond}, {7, 64 * time.Millisecond}, {8, most}, {100, most}, {1 << 40, most}} {
			longest := time.Duration(0)
			for range 100 {
				start := time.Now()
				require.NoError(t, Wait(t.Context(), c.try))
				longest = max(longest, time.Since(start))
			}
			require.LessOrEqual(t, longest, c.most, "try %d", c.try)
			require.Greater(t, longest, c.most/2, "try %d", c.try)
		}
	})
}

func TestAnEndedContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		require.ErrorIs(t, Wait(ctx, 100), context.Canceled)
		require.Zero(t, time.Since(start))
	})
}
