package pool

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestP1_ASpareIsReadyWhenAChildIsUsedUp(t *testing.T) {
	p := newPool(t, uncapped(Processes{MaxCalls: 3}))
	ctx := context.Background()
	reared := func() (pid int) {
		cs := &p.children
		require.Eventually(t, func() bool {
			cs.mu.Lock()
			defer cs.mu.Unlock()
			if cs.spare != nil {
				pid = cs.spare.process.Pid()
			}
			return cs.spare != nil
		}, time.Minute, time.Millisecond)
		return pid
	}
	for range 3 {
		_, err := Run(ctx, p, Task{}, remotePid.With(0))
		require.NoError(t, err)
	}
	spare := reared()
	next, err := Run(ctx, p, Task{}, remotePid.With(0))
	require.NoError(t, err)
	require.Equal(t, spare, next, "it was not started while somebody waited")
	for range 2 {
		_, err := Run(ctx, p, Task{}, remotePid.With(0))
		require.NoError(t, err)
	}
	spare = reared()
	require.NoError(t, p.Close(ctx))
	requireGone(t, spare)

	short := newPool(t, uncapped(Processes{MaxCalls: 1, IdleTime: time.Millisecond}))
	_, err = Run(ctx, short, Task{}, remotePid.With(0))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		cs := &short.children
		cs.mu.Lock()
		defer cs.mu.Unlock()
		return cs.rearing == nil && cs.spare == nil
	}, time.Minute, time.Millisecond, "it retires as others do")
}
