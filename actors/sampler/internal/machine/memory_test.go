package machine

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

func TestQ21_MemoryLimitsAndShares(t *testing.T) {
	const (
		shop   = "/sys/fs/cgroup/shop.slice/"
		worker = shop + "api.service/worker/"
		docker = "/sys/fs/cgroup/memory/"
	)
	tests := []struct {
		name  string
		f     files
		limit int64
		from  string
		share float64
	}{
		{"a machine alone: what is not available", bare, 16 * gib, "/proc/meminfo", 0.75},
		{"version 2: the tightest bounds, the fullest counts", v2, gib, worker + "memory.max", 0.5},
		{"version 2: the own group is the fullest", v2.with(files{worker + "memory.current": "966367642\n"}), gib, worker + "memory.max", 0.9},
		{"version 2: only a group above", v2.with(files{worker + "memory.max": "max\n"}), 4 * gib, shop + "memory.max", 0.5},
		{"version 2: the controller is off below", v2.with(files{worker + "memory.max": "", worker + "memory.current": "", worker + "memory.stat": ""}),
			4 * gib, shop + "memory.max", 0.5},
		{"version 2: no limit", v2.with(files{worker + "memory.max": "max\n", shop + "memory.max": "max\n"}), 16 * gib, "/proc/meminfo", 0.75},
		{"version 2: a limit that binds nobody", v2.with(files{worker + "memory.max": "99999999999999\n", shop + "memory.max": "max\n"}), 16 * gib, "/proc/meminfo", 0.75},
		{"version 2: more file pages than use", v2.with(files{worker + "memory.stat": "inactive_file 999999999\n", shop + "memory.max": "max\n"}), gib, worker + "memory.max", 0},
		{"version 1: bound from above what can be seen", v1, 512 * mib, docker + "job/memory.stat", 1},
		{"version 1: the own group", v1.with(files{docker + "job/memory.limit_in_bytes": "209715200\n", docker + "memory.stat": "total_inactive_file 1610612736\n"}),
			200 * mib, docker + "job/memory.limit_in_bytes", 0.5},
		{"version 1: no limit, as old kernels say it", v1.with(files{
			docker + "job/memory.limit_in_bytes": "18446744073709551615\n", docker + "job/memory.stat": "total_inactive_file 0\nhierarchical_memory_limit 18446744073709551615\n",
			docker + "memory.limit_in_bytes": "9223372036854771712\n", docker + "memory.stat": "",
		}), 16 * gib, "/proc/meminfo", 0.75},
	}
	for _, test := range tests {
		list, err := test.f.write(t).ReadMemory()
		require.NoError(t, err, test.name)
		assert.Equal(t, test.limit, Tightest(list).Limit, test.name)
		assert.Equal(t, test.from, Tightest(list).From, test.name)
		assert.InDelta(t, test.share, Fullest(list).Share(), 1e-6, test.name)
	}
}

func TestGarbageAboutMemoryIsAnError(t *testing.T) {
	const shop, docker = "/sys/fs/cgroup/shop.slice/", "/sys/fs/cgroup/memory/"
	for _, test := range []struct {
		base, bad files
		says      string
	}{
		{bare, files{"/proc/meminfo": ""}, "MemTotal"},
		{bare, files{"/proc/meminfo": "MemTotal: 0 kB\n"}, "MemTotal"},
		{bare, files{"/proc/meminfo": "MemTotal: much kB\n"}, `"much" is not a number`},
		{bare, files{"/proc/meminfo": "MemTotal: 16 kB\n"}, "MemAvailable"},
		{bare, files{"/proc/meminfo": "MemTotal: 16 kB\nMemAvailable: some kB\n"}, `"some" is not a number`},
		{v2, files{shop + "memory.max": "plenty\n"}, shop + `memory.max: "plenty" is not a number`},
		{v2, files{shop + "memory.max": "0\n"}, "leaves nothing"},
		{v2, files{shop + "memory.current": "?\n"}, shop + `memory.current: "?"`},
		{v2, files{shop + "memory.stat": "inactive_file lots\n"}, shop + "memory.stat"},
		{v1, files{docker + "memory.limit_in_bytes": "-\n"}, docker + "memory.limit_in_bytes"},
		{v1, files{docker + "memory.stat": "hierarchical_memory_limit -\n"}, docker + "memory.stat"},
	} {
		_, err := test.base.with(test.bad).write(t).ReadMemory()
		assert.ErrorContains(t, err, test.says)
	}
}

func TestHereIsLinuxOnly(t *testing.T) {
	m, err := Here()
	if runtime.GOOS != "linux" {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		assert.ErrorContains(t, err, runtime.GOOS)
		return
	}
	require.NoError(t, err)
	c, err := m.ReadCPU(noon)
	require.NoError(t, err)
	cpus, from := c.Limit()
	assert.Positive(t, cpus)
	assert.NotEmpty(t, from)
	list, err := m.ReadMemory()
	require.NoError(t, err)
	assert.Positive(t, Tightest(list).Limit)
}
