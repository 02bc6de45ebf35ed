package sampler

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock"
)

// The test binary starts itself as a child that finds itself under limits.
const (
	childTask = "PENSTOCK_SAMPLER_CHILD" // what the child does
	childJoin = "PENSTOCK_SAMPLER_JOIN"  // the cgroup.procs files of the groups that it puts itself into first, with : between
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		if err := child(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// findings are what a child reports.
type findings struct {
	Limits LimitsInfo
	Share  float64       // what the source that it was asked for said
	Before float64       // the same before there was anything to measure
	Used   time.Duration // CPU time
	Took   time.Duration
}

func child(task string) error {
	if groups := os.Getenv(childJoin); groups != "" {
		for file := range strings.SplitSeq(groups, ":") {
			if err := os.WriteFile(file, fmt.Append(nil, os.Getpid()), 0); err != nil {
				return err
			}
		}
	}
	var f findings
	var err error
	if f.Limits, err = Limits(); err != nil {
		return err
	}
	switch task {
	case "look":
	case "heap":
		f.Share, err = Heap().Sample(context.Background())
	case "hoard":
		err = f.hoard()
	case "burn":
		err = f.burn()
	default:
		err = fmt.Errorf("nobody knows how to %q", task)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// hoard takes memory, all of whose pages are in use. It takes it from the kernel, because the race detector needs several
// times of what the Go runtime gives.
func hoard(n int) ([]byte, error) {
	block, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	return block, err
}

func (f *findings) hoard() (err error) {
	if f.Before, err = Memory().Sample(context.Background()); err != nil {
		return err
	}
	block, err := hoard(128 << 20)
	if err != nil {
		return err
	}
	f.Share, err = Memory().Sample(context.Background())
	runtime.KeepAlive(block)
	return err
}

// burn spins until a sampler of the CPU says that its share is above 0.8, or has said 300 times that it is not.
func (f *findings) burn() error {
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				runtime.KeepAlive(i)
			}
		}()
	}
	events, err := Subscribe(sys, 10)
	if err != nil {
		return err
	}
	tries, used, begun := make(chan struct{}), cpuTime(), time.Now()
	_, err = Add(sys, "cpu", Config{
		Source:   CPU(),
		Interval: 200 * time.Millisecond,
		Calc:     func(history []Sample) float64 { tries <- struct{}{}; return newest(history) },
	})
	if err != nil {
		return err
	}
	for range 300 {
		select {
		case <-tries:
			continue
		case e := <-events.Events():
			f.Share = e.Value
		}
		break
	}
	f.Used, f.Took = cpuTime()-used, time.Since(begun)
	return nil
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// run starts a child under a command that limits it, if any, and returns what it found.
func run(t *testing.T, task string, env []string, under ...string) (f findings) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	args := append(under, self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), append(env, childTask+"="+task, "GORACE=atexit_sleep_ms=0")...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.NoError(t, json.Unmarshal(out, &f))
	t.Logf("the child found %+v", f)
	return f
}
