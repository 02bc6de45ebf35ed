package sampler

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQ21_LimitsUnderAnAffinityMask(t *testing.T) {
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		t.Skip("there is no taskset here")
	}
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, list, ok := strings.Cut(string(status), "Cpus_allowed_list:\t")
	require.True(t, ok)
	first := list[:strings.IndexAny(list, "-,\n")]

	free := run(t, "look", nil)
	bound := run(t, "look", []string{"GOMAXPROCS=7"}, taskset, "-c", first)
	assert.Equal(t, min(free.Limits.CPUs, 1), bound.Limits.CPUs)
	if free.Limits.CPUs > 1 {
		assert.Contains(t, bound.Limits.CPUsFrom, "affinity mask: 1 of")
	}
	assert.Equal(t, free.Limits.Memory, bound.Limits.Memory)
}

func TestQ21_LimitsUnderGOMEMLIMIT(t *testing.T) {
	assert.Zero(t, run(t, "look", []string{"GOMEMLIMIT=off"}).Limits.GoLimit)
	f := run(t, "heap", []string{"GOMEMLIMIT=64MiB"})
	assert.EqualValues(t, 64<<20, f.Limits.GoLimit)
	assert.Greater(t, f.Share, 0.01)
	assert.Less(t, f.Share, 1.0)
}

func TestQ21_LimitsInAGroup(t *testing.T) {
	join := newGroup(t)
	f := run(t, "look", join)
	assert.Equal(t, 0.5, f.Limits.CPUs)
	assert.Contains(t, f.Limits.CPUsFrom, "penstock-test")
	assert.EqualValues(t, 256<<20, f.Limits.Memory)
	assert.Contains(t, f.Limits.MemoryFrom, "penstock-test")
}

func TestQ21_CPUInAGroupIsFullAtItsQuota(t *testing.T) {
	f := run(t, "burn", newGroup(t))
	assert.GreaterOrEqual(t, f.Share, 0.8)
	assert.Less(t, f.Used.Seconds(), 0.75*f.Took.Seconds()+0.1, "the kernel held it at half a CPU")
}

func TestQ21_MemoryInAGroupIsItsLimits(t *testing.T) {
	f := run(t, "hoard", newGroup(t))
	assert.Less(t, f.Before, 0.4)
	assert.GreaterOrEqual(t, f.Share, 0.5, "128 of 256 MiB")
	assert.LessOrEqual(t, f.Share, 1.0)
}

// newGroup makes a group of half a CPU and 256 MiB below this process's own, for a child to join, and removes it when the
// test has ended. It returns the child's environment.
func newGroup(t *testing.T) []string {
	t.Helper()
	var procs []string
	group := func(controller string, settings map[int][][2]string) {
		above, version := groupOf(t, controller)
		dir := filepath.Join(above, fmt.Sprintf("penstock-test-%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) { // the same for several controllers
			t.Skipf("no group can be made here: %v", err)
		} else if err == nil {
			t.Cleanup(func() { assert.NoError(t, os.Remove(dir)) })
		}
		for _, s := range settings[version] {
			if err := os.WriteFile(filepath.Join(dir, s[0]), []byte(s[1]), 0); err != nil {
				t.Skipf("the group cannot be limited: %v", err)
			}
		}
		if file := filepath.Join(dir, "cgroup.procs"); !slices.Contains(procs, file) {
			procs = append(procs, file)
		}
	}
	group("cpu", map[int][][2]string{ // and with a weight, or neighbours that are busy could keep it below its quota
		1: {{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "50000"}, {"cpu.shares", "262144"}},
		2: {{"cpu.max", "50000 100000"}, {"cpu.weight", "10000"}},
	})
	group("cpuacct", nil)
	group("memory", map[int][][2]string{1: {{"memory.limit_in_bytes", "268435456"}}, 2: {{"memory.max", "268435456"}}})
	return []string{childJoin + "=" + strings.Join(procs, ":")}
}

// groupOf is this process's group of a controller, and the version of cgroups. It is found by other means than the code
// under test has.
func groupOf(t *testing.T, controller string) (dir string, version int) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/mounts")
	require.NoError(t, err)
	groups, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	own := func(controllers string) string {
		for line := range strings.Lines(string(groups)) {
			if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); parts[1] == controllers || slices.Contains(strings.Split(parts[1], ","), controllers) {
				return parts[2]
			}
		}
		return "/"
	}
	unified := ""
	for line := range strings.Lines(string(mounts)) {
		words := strings.Fields(line)
		switch {
		case words[2] == "cgroup" && slices.Contains(strings.Split(words[3], ","), controller):
			return filepath.Join(words[1], own(controller)), 1
		case words[2] == "cgroup2":
			unified = filepath.Join(words[1], own(""))
		}
	}
	if unified == "" {
		t.Skip("no groups are mounted here")
	}
	if err := os.WriteFile(filepath.Join(unified, "cgroup.subtree_control"), []byte("+cpu +memory"), 0); err != nil {
		t.Skipf("groups below this process's own have no controllers: %v", err)
	}
	return unified, 2
}
