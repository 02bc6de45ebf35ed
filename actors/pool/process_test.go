package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/internal/victim"
)

// The test binary is its own child.
func TestMain(m *testing.M) {
	Main()
	if os.Getenv("PENSTOCK_TEST_PARENT") != "" {
		beParent()
	}
	victim.Main(farLife.run)
	os.Exit(m.Run())
}

// uncapped is a configuration for the race detector, whose own records count as the child's data: the short suite is run
// under it.
func uncapped(c Processes) Config {
	c.Uncapped = testing.Short()
	return Config{Processes: c}
}

type pair struct{ A, B int }

var (
	remoteSum   = Register("sum", func(_ context.Context, p pair) (int, error) { return p.A + p.B, nil })
	remoteJSON  = Register("json", func(_ context.Context, p pair) (pair, error) { return pair{p.B, p.A}, nil }, WithJSON())
	remotePid   = Register("pid", func(context.Context, int) (int, error) { return os.Getpid(), nil })
	remoteSpin  = Register("spin", spin)
	remoteHeap  = Register("heap", eat)
	remoteBytes = Register("bytes", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })
	remoteExit  = Register("exit", func(_ context.Context, code int) (int, error) {
		fmt.Fprintln(os.Stderr, "last words of the child")
		os.Exit(code)
		return 0, nil
	})
	remoteFail = Register("fail", func(ctx context.Context, how string) (int, error) {
		switch how {
		case "panic":
			panic("boom in the child")
		case "goexit":
			runtime.Goexit()
		case "canceled":
			return 0, fmt.Errorf("wrapped: %w", context.Canceled)
		case "deadline":
			<-ctx.Done()
			return 0, ctx.Err()
		case "garbage":
			_, _ = os.NewFile(answersFD, "answers").Write([]byte("this is no frame"))
		case "pipe":
			_ = syscall.Close(answersFD)
			select {}
		case "segv":
			debug.SetTraceback("none")
			_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
			select {}
		}
		return 0, errors.New("the child's own error")
	})
	remoteFork = Register("fork", func(_ context.Context, mark string) (int, error) { // leaves a sleeping grandchild
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		if mark != "" {
			_ = os.WriteFile(mark, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
			select {}
		}
		return cmd.Process.Pid, nil
	})
	remoteLeak = Register("leak", func(_ context.Context, mib int) (int, error) { // keeps it
		b := make([]byte, mib<<20)
		leaked = append(leaked, b)
		return os.Getpid(), nil
	})
	remoteChurn = Register("churn", func(_ context.Context, mib int) (int, error) { // leaves it to the collector
		b := make([]byte, mib<<20)
		b[len(b)-1] = 1
		return os.Getpid(), nil
	})
	remoteUnsendable = Register("unsendable", func(context.Context, int) (func(), error) { return func() {}, nil })
)

// leaked is what a child keeps from call to call.
var leaked [][]byte

func spin(_ context.Context, mark string) (int, error) {
	if mark != "" {
		_ = os.WriteFile(mark, []byte(strconv.Itoa(os.Getpid())), 0o600)
	}
	for n := 0; ; n++ {
		if n < 0 {
			return n, nil
		}
	}
}

// eat takes memory without end, and writes how much it has, in MiB, to a file.
func eat(_ context.Context, mark string) (int, error) {
	f, err := os.Create(mark)
	if err != nil {
		return 0, err
	}
	var held [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
		if _, err := f.WriteAt(fmt.Appendf(nil, "%08d", len(held)), 0); err != nil {
			return 0, err
		}
	}
}

func exists(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ") // whoever reaps orphans may be slow
}

// killGroups ends what a test that failed would leave behind, with its process groups.
func killGroups(pids ...int) {
	for _, pid := range pids {
		if group, err := syscall.Getpgid(pid); err == nil && group != syscall.Getpgrp() {
			_ = syscall.Kill(-group, syscall.SIGKILL)
		}
	}
}

func requireGone(t testing.TB, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return !exists(pid) }, 10*time.Second, time.Millisecond)
}

func TestP1_AFunctionRunsInAChild(t *testing.T) {
	p := newPool(t, uncapped(Processes{}))
	ctx := context.Background()
	n, err := Run(ctx, p, Task{}, remoteSum.With(pair{2, 3}))
	require.NoError(t, err)
	require.Equal(t, 5, n)
	swapped, err := Run(ctx, p, Task{}, remoteJSON.With(pair{1, 2}))
	require.NoError(t, err)
	require.Equal(t, pair{2, 1}, swapped)
	first, err := Run(ctx, p, Task{}, remotePid.With(0))
	require.NoError(t, err)
	require.NotEqual(t, os.Getpid(), first)
	second, err := Run(ctx, p, Task{}, remotePid.With(0))
	require.NoError(t, err)
	require.Equal(t, first, second, "a warm child serves again")
	fresh, err := Guard(ctx, Task{MaxMemory: 4 << 30}, remotePid.With(0))
	require.NoError(t, err)
	require.NotEqual(t, first, fresh)
	requireGone(t, fresh)
	requireEmpty(t, p)
	require.NoError(t, p.Close(ctx))
	requireGone(t, first)
}

func TestP1_ChildrenAreReplaced(t *testing.T) {
	p := newPool(t, uncapped(Processes{MaxCalls: 2}))
	var pids []int
	for range 4 {
		pid, err := Run(context.Background(), p, Task{}, remotePid.With(0))
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	require.Equal(t, pids[0], pids[1])
	require.NotEqual(t, pids[1], pids[2])
	require.Equal(t, pids[2], pids[3])
	requireGone(t, pids[0])

	never := addPool(t, roomtest.System(t), "never", uncapped(Processes{MaxIdle: NoIdle}))
	a, err := Run(context.Background(), never, Task{}, remotePid.With(0))
	require.NoError(t, err)
	b, err := Run(context.Background(), never, Task{}, remotePid.With(0))
	require.NoError(t, err)
	require.NotEqual(t, a, b)

	short := addPool(t, roomtest.System(t), "short", uncapped(Processes{IdleTime: time.Millisecond}))
	a, err = Run(context.Background(), short, Task{}, remotePid.With(0))
	require.NoError(t, err)
	requireGone(t, a)
}

func TestP5_AChildIsKilledWhenItsTimeIsOver(t *testing.T) {
	cfg := uncapped(Processes{})
	cfg.Grace = time.Minute // a busy machine takes a while to end a process
	p := newPool(t, cfg)
	mark := t.TempDir() + "/pid"
	var text []byte
	for maxTime := 500 * time.Millisecond; ; maxTime *= 2 { // until it was long enough for the child to say who it is
		_, err := Run(context.Background(), p, Task{MaxTime: maxTime}, remoteSpin.With(mark))
		require.Equal(t, "timed out", ending(err))
		require.NoError(t, p.Drain(context.Background()), "nothing is stuck: a process can be killed")
		requireEmpty(t, p)
		if text, err = os.ReadFile(mark); len(text) > 0 {
			require.NoError(t, err)
			break
		}
	}
	pid, err := strconv.Atoi(string(text))
	require.NoError(t, err)
	require.False(t, exists(pid), "its place was free only once it was gone")
}

func TestP7_HowAChildEndsIsTold(t *testing.T) {
	p := newPool(t, uncapped(Processes{MaxOutput: 1 << 20}))
	ctx := context.Background()
	fail := func(how string) error {
		_, err := Run(ctx, p, Task{Name: how, MaxTime: 10 * time.Second}, remoteFail.With(how))
		require.Error(t, err)
		return err
	}
	err := fail("error")
	var remote *RemoteError
	require.ErrorAs(t, err, &remote)
	require.Equal(t, "the child's own error", remote.Error())
	require.ErrorIs(t, fail("canceled"), context.Canceled)

	var panicked *penstock.PanicError
	require.ErrorAs(t, fail("panic"), &panicked)
	require.Equal(t, "boom in the child", panicked.Value)
	require.Contains(t, string(panicked.Stack), "process_test.go")
	require.ErrorIs(t, fail("goexit"), ErrGoexit)

	_, err = Run(ctx, p, Task{}, remoteExit.With(3))
	var crash *CrashError
	require.ErrorAs(t, err, &crash)
	require.Equal(t, 3, crash.ExitCode)
	require.Contains(t, crash.Stderr, "last words of the child")
	_, err = Run(ctx, p, Task{}, remoteExit.With(0))
	require.ErrorAs(t, err, &crash, "an end without an answer is a crash, whatever the status")

	require.ErrorContains(t, fail("garbage"), "something else than a frame")
	require.ErrorContains(t, fail("pipe"), "closed its channel")
	require.ErrorAs(t, fail("segv"), &crash)

	_, err = Run(ctx, p, Task{MaxMemory: 64 << 20}, remoteBytes.With(2<<20))
	require.ErrorContains(t, err, "longer than Processes.MaxOutput, 1048576")
	_, err = Run(ctx, p, Task{}, remoteUnsendable.With(0))
	require.ErrorContains(t, err, "the result of")
	_, err = Run(ctx, p, Task{}, Named[int, int]("nobody").With(0))
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, `no function "nobody"`)
	_, err = Run(ctx, p, Task{}, Named[string, int]("sum").With("no pair"))
	require.ErrorContains(t, err, "the argument of")
	_, err = remoteSum.With(pair{})(ctx)
	require.ErrorIs(t, err, penstock.ErrInvalid, "outside of a pool")

	n, err := Run(ctx, p, Task{}, remoteSum.With(pair{1, 1}))
	require.NoError(t, err, "the pool is unharmed")
	require.Equal(t, 2, n)
	requireEmpty(t, p)
}

func TestP8_AKilledChildIsGoneWithAllThatItStarted(t *testing.T) {
	p := newPool(t, uncapped(Processes{}))
	dir := t.TempDir()
	f, err := Async(context.Background(), p, Task{Name: "spin"}, remoteSpin.With(dir+"/pid"))
	require.NoError(t, err)
	var pid int
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(dir + "/pid")
		pid, _ = strconv.Atoi(string(text))
		return pid > 0
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, Process, p.Info().Jobs[0].Tier)
	require.Equal(t, 1, p.Kill("spin", errOwn))
	_, err = f.Await(context.Background())
	require.ErrorIs(t, err, errOwn)
	require.NoError(t, p.Drain(context.Background()))
	require.False(t, exists(pid))
	p.Resume()

	grandchild, err := Run(context.Background(), p, Task{}, remoteFork.With(""))
	require.NoError(t, err)
	t.Cleanup(func() { killGroups(grandchild) })
	require.True(t, exists(grandchild), "it may outlive the call that started it")
	require.NoError(t, p.Close(context.Background()))
	requireGone(t, grandchild)
}

func TestG6_NoProcessIsLeft(t *testing.T) {
	count := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	before := count()
	sys, err := penstock.New()
	require.NoError(t, err)
	cfg := uncapped(Processes{})
	cfg.MaxWorkers, cfg.MaxWaiting = 8, 100
	p := addPool(t, sys, "p", cfg)
	callers := roomtest.Callers{Ending: ending}
	for i := range 40 {
		callers.Call(func() error {
			switch i % 4 {
			case 0:
				_, err := Run(context.Background(), p, Task{}, remoteSum.With(pair{i, i}))
				return err
			case 1:
				_, err := Run(context.Background(), p, Task{}, remoteExit.With(1))
				return err
			case 2:
				_, err := Run(context.Background(), p, Task{MaxTime: 50 * time.Millisecond}, remoteSpin.With(""))
				return err
			default:
				_, err := Run(context.Background(), p, Task{}, Command("true").Run)
				return err
			}
		})
	}
	callers.Wait()
	require.Equal(t, 10, callers.Ended()["timed out"])
	require.Equal(t, 20, callers.Ended()["value"])
	require.NoError(t, sys.Close(context.Background()))
	requireEmpty(t, p)
	require.LessOrEqual(t, count(), before+2, "the channels are closed") // the runtime may have opened its own
	children, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	require.NoError(t, err)
	for _, pid := range strings.Fields(string(children)) {
		n, _ := strconv.Atoi(pid)
		requireGone(t, n)
	}
}

// beParent is a process with children at work, for a test that kills it.
func beParent() {
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	p, err := New(sys, "p", Config{Processes: Processes{Uncapped: true}})
	if err != nil {
		panic(err)
	}
	dir := os.Getenv("PENSTOCK_TEST_PARENT")
	_, _ = Async(context.Background(), p, Task{}, remoteFork.With(dir+"/fork"))
	_, _ = Async(context.Background(), p, Task{}, remoteSpin.With(dir+"/spin"))
	_, _ = Async(context.Background(), p, Task{MaxMemory: 64 << 20}, Command("sh", "-c", "echo $$ >"+dir+"/cmd; exec sleep 1000").Run)
	select {}
}

func TestP8_NoChildOutlivesItsParent(t *testing.T) {
	dir := t.TempDir()
	parent := exec.Command("/proc/self/exe")
	parent.Env = append(os.Environ(), "PENSTOCK_TEST_PARENT="+dir)
	require.NoError(t, parent.Start())
	pids := make([]int, 3)
	for i, name := range []string{"fork", "spin", "cmd"} {
		require.Eventually(t, func() bool {
			text, _ := os.ReadFile(dir + "/" + name)
			pids[i], _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return pids[i] > 0
		}, 20*time.Second, time.Millisecond)
	}
	t.Cleanup(func() { killGroups(pids...) })
	for _, pid := range pids {
		require.True(t, exists(pid))
	}
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	for _, pid := range pids {
		requireGone(t, pid)
	}
}

func BenchmarkWarmChild(b *testing.B) {
	p := newPool(b, Config{})
	for b.Loop() {
		if _, err := Run(context.Background(), p, Task{}, remoteSum.With(pair{1, 2})); err != nil {
			b.Fatal(err)
		}
	}
}
