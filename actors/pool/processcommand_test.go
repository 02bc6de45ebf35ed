package pool

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestP1_ACommandRuns(t *testing.T) {
	p := newPool(t, uncapped(Processes{MaxOutput: 1000}))
	ctx := context.Background()
	task := Task{MaxMemory: 64 << 20}
	cat := Command("cat")
	cat.Stdin = []byte("through a pipe")
	out, err := Run(ctx, p, task, cat.Run)
	require.NoError(t, err)
	require.Equal(t, "through a pipe", string(out.Stdout))

	_, err = Run(ctx, p, task, Command("sh", "-c", "echo why >&2; exit 4").Run)
	var crash *CrashError
	require.ErrorAs(t, err, &crash)
	require.Equal(t, 4, crash.ExitCode)
	require.Equal(t, "why\n", crash.Stderr)
	_, err = Run(ctx, p, task, Command("sh", "-c", "kill -SEGV $$").Run)
	require.ErrorAs(t, err, &crash)
	require.Equal(t, "segmentation fault", crash.Signal)
	_, err = Run(ctx, p, task, Command("no-such-program").Run)
	require.ErrorIs(t, err, exec.ErrNotFound)
	_, err = Run(ctx, p, task, Command("yes").Run)
	require.ErrorContains(t, err, "more than Processes.MaxOutput, 1000 bytes")
	_, err = Run(ctx, p, Task{MaxTime: 100 * time.Millisecond}, Command("sleep", "1000").Run)
	require.Equal(t, "timed out", ending(err))
	env := Command("sh", "-c", "echo $X; pwd")
	env.Env, env.Dir = []string{"X=1", "PATH=" + os.Getenv("PATH")}, "/"
	out, err = Run(ctx, p, task, env.Run)
	require.NoError(t, err)
	require.Equal(t, "1\n/\n", string(out.Stdout))
	guarded, err := Guard(ctx, Task{MaxMemory: 4 << 30}, Command("echo", "alone").Run)
	require.NoError(t, err)
	require.Equal(t, "alone\n", string(guarded.Stdout))
	require.NoError(t, p.Drain(ctx))
	requireEmpty(t, p)
}

func TestP6_ACommandIsCapped(t *testing.T) {
	if testing.Short() {
		t.Skip("the short suite is run under the race detector, whose own records count as a child's data")
	}
	p := newPool(t, Config{})
	out, err := Run(context.Background(), p, Task{MaxMemory: 32 << 20}, Command("sh", "-c", "ulimit -d").Run)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(32<<10)+"\n", string(out.Stdout), "in KiB, from its first instruction")
	// The shell gathers what it reads in one string.
	_, err = Run(context.Background(), p, Task{MaxMemory: 32 << 20}, Command("sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}").Run)
	var crash *CrashError
	require.ErrorAs(t, err, &crash)
}
