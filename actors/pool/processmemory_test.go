package pool

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestP6_AChildThatEatsMemoryIsStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("the short suite is run under the race detector, whose own records count as the child's data")
	}
	for _, mib := range []int{64, 256} {
		t.Run(strconv.Itoa(mib), func(t *testing.T) {
			p := newPool(t, Config{})
			var before, after runtime.MemStats
			mark := t.TempDir() + "/mib"
			for i := range 3 { // each time in a new child
				if i == 1 {
					runtime.GC()
					runtime.ReadMemStats(&before)
				}
				_, err := Run(context.Background(), p, Task{MaxMemory: int64(mib) << 20}, remoteHeap.With(mark))
				var memory *MemoryError
				require.ErrorAs(t, err, &memory)
				require.Equal(t, Process, memory.Tier)
				text, err := os.ReadFile(mark)
				require.NoError(t, err)
				got, err := strconv.Atoi(string(text))
				require.NoError(t, err)
				t.Logf("with a cap of %d MiB it had %d MiB", mib, got)
				require.InDelta(t, mib, got, 8, "as the documentation says")
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Less(t, after.HeapAlloc, before.HeapAlloc+8<<20, "the parent's heap stays flat")
			n, err := Run(context.Background(), p, Task{}, remoteSum.With(pair{1, 1}))
			require.NoError(t, err, "the pool is unharmed")
			require.Equal(t, 2, n)
			requireEmpty(t, p)
		})
	}
}

// A child that holds much from an earlier call is not used for one that may take little: it would have both.
func TestP6_WhatAChildHoldsIsNotOnTopOfACap(t *testing.T) {
	if testing.Short() {
		t.Skip("the short suite is run under the race detector, whose own records count as a child's data")
	}
	p := newPool(t, Config{})
	first, err := Run(context.Background(), p, Task{}, remotePid.With(0))
	require.NoError(t, err)
	large, err := Run(context.Background(), p, Task{MaxMemory: 512 << 20}, remoteChurn.With(200))
	require.NoError(t, err)
	require.Equal(t, first, large)
	second, err := Run(context.Background(), p, Task{}, remotePid.With(0))
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestP6_AChildThatLeaksIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("the short suite is run under the race detector, whose own records count as a child's data")
	}
	p := newPool(t, Config{})
	task := Task{MaxMemory: 64 << 20}
	pid := func(fn *Func[int, int], mib int) int {
		pid, err := Run(context.Background(), p, task, fn.With(mib))
		require.NoError(t, err)
		return pid
	}
	first := pid(remoteChurn, 20)
	for range 5 {
		require.Equal(t, first, pid(remoteChurn, 20), "what a call left to the collector does not count")
	}
	require.Equal(t, first, pid(remoteLeak, 20))
	require.NotEqual(t, first, pid(remoteChurn, 1), "what it keeps does")
}
