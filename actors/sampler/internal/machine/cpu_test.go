package machine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readCPU(t *testing.T, f files, at time.Duration) CPU {
	t.Helper()
	c, err := f.write(t).ReadCPU(noon.Add(at))
	require.NoError(t, err)
	return c
}

func TestQ21_CPULimits(t *testing.T) {
	const worker = "/sys/fs/cgroup/shop.slice/api.service/worker/cpu.max"
	tests := []struct {
		name string
		f    files
		cpus float64
		from string
	}{
		{"a machine alone", bare, 4, "the machine's CPUs"},
		{"an affinity mask", bare.with(files{"/proc/self/status": "Cpus_allowed_list:\t1,3-9\n"}), 2, "the affinity mask: 2 of 4 CPUs"},
		{"no mask is told", bare.with(files{"/proc/self/status": ""}), 4, "the machine's CPUs"},
		{"version 2, the own group", v2, 1.5, worker},
		{"version 2, a group above is tighter", v2.with(files{"/sys/fs/cgroup/shop.slice/cpu.max": "50000 100000\n"}), 0.5, "/sys/fs/cgroup/shop.slice/cpu.max"},
		{"version 2, only the group above", v2.with(files{worker: "max 100000\n"}), 3, "/sys/fs/cgroup/shop.slice/cpu.max"},
		{"version 2, the controller is off below", v2.with(files{worker: ""}), 3, "/sys/fs/cgroup/shop.slice/cpu.max"},
		{"version 2, a mask is tighter", v2.with(files{"/proc/self/status": "Cpus_allowed_list:\t2\n"}), 1, "the affinity mask: 1 of 4 CPUs"},
		{"version 2, more than there is", v2.with(files{worker: "800000 100000\n", "/sys/fs/cgroup/shop.slice/cpu.max": "max 100000\n"}), 4, "the machine's CPUs"},
		{"version 1, the group above", v1, 2, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"},
		{"version 1, the own group", v1.with(files{"/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "25000\n"}), 0.25, "/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us"},
		{"version 1, none", v1.with(files{"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": ""}), 4, "the machine's CPUs"},
	}
	for _, test := range tests {
		cpus, from := readCPU(t, test.f, 0).Limit()
		assert.Equal(t, test.cpus, cpus, test.name)
		assert.Equal(t, test.from, from, test.name)
	}
}

// busyBare is the bare machine a second later: cpu0 was busy all the time, cpu1 three quarters, cpu2 waited for a disk, cpu3
// was stolen.
var busyBare = files{"/proc/stat": `cpu  0 0 0 0 0 0 0 0 0 0
cpu0 150 20 110 750 50 10 10 0 99 0
cpu1 175 0 100 775 50 0 0 0 75 0
cpu2 100 0 100 750 150 0 0 0 0 0
cpu3 100 0 100 750 50 0 0 100 0 0
`}

func TestQ21_CPUShares(t *testing.T) {
	const (
		shop   = "/sys/fs/cgroup/shop.slice/"
		worker = shop + "api.service/worker/"
		docker = "/sys/fs/cgroup/cpu,cpuacct/"
	)
	mask := func(list string) files { return files{"/proc/self/status": "Cpus_allowed_list:\t" + list + "\n"} }
	quietShop := files{shop + "cpu.stat": "usage_usec 60300000\n"} // a tenth
	none := files{}
	tests := []struct {
		name       string
		base, then files
		share      float64
	}{
		{"a machine alone", bare, busyBare, (1 + 0.75 + 0 + 1) / 4},
		{"the CPUs of the mask only", bare.with(mask("0-1")), busyBare, 0.875},
		{"one CPU that waits", bare.with(mask("2")), busyBare, 0},
		{"version 2: the own quota", v2, quietShop.with(files{worker + "cpu.stat": "usage_usec 41200000\n"}), 0.8},
		{"version 2: a quota above is fuller", v2, files{shop + "cpu.stat": "usage_usec 62700000\n"}, 0.9},
		{"version 2: for a moment above its quota", v2, files{worker + "cpu.stat": "usage_usec 41800000\n"}, 1.2},
		{"version 2: what the machine does is not ours while the quota is tighter", v2, busyBare, 0},
		{"version 2: unless the mask is tighter still", v2.with(mask("0")), busyBare, 1},
		{"version 2: as many CPUs as the quota", v2.with(mask("1")).with(files{worker + "cpu.max": "100000 100000\n"}),
			busyBare.with(files{worker + "cpu.stat": "usage_usec 40500000\n"}), 0.75},
		{"version 1: the group above", v1, files{docker + "cpuacct.usage": "31000000000\n"}, 0.5},
		{"version 1: its use is not shown, so the process's own counts", v1.with(files{docker + "cpuacct.usage": ""}),
			files{"/proc/self/stat": "4711 (x) S 1 2 3 4 5 6 7 8 9 10 350 230 7 8\n"}, 0.4},
		{"version 1: cpu and cpuacct in different places", v1.with(files{
			"/proc/self/cgroup": "4:cpu:/docker/abc/job\n5:cpuacct:/\n",
		}), files{docker + "cpuacct.usage": "32000000000\n", "/proc/self/stat": "4711 (x) S 1 2 3 4 5 6 7 8 9 10 310 210 7 8\n"}, 0.1},
		{"counters that go back", v2, files{worker + "cpu.stat": "usage_usec 1\n"}, 0},
		{"nothing has happened", bare, none, 0},
	}
	for _, test := range tests {
		before := readCPU(t, test.base, 0)
		share, _ := readCPU(t, test.base.with(test.then), time.Second).Share(before)
		assert.InDelta(t, test.share, share, 1e-9, test.name)
	}
}

func TestSharesNeedTwoReadingsOfTheSame(t *testing.T) {
	alone := readCPU(t, bare, 0)
	_, ok := readCPU(t, bare, time.Second).Share(alone)
	assert.False(t, ok, "no tick has passed")
	_, ok = readCPU(t, bare.with(busyBare), time.Second).Share(alone)
	assert.True(t, ok)
	_, ok = readCPU(t, bare.with(busyBare).with(files{"/proc/self/status": "Cpus_allowed_list: 0\n"}), time.Second).Share(alone)
	assert.False(t, ok, "the mask has changed")

	_, ok = readCPU(t, v2, time.Second).Share(alone)
	assert.False(t, ok, "the process has been put into a group")
	_, ok = readCPU(t, v2, time.Second).Share(readCPU(t, v2, time.Second))
	assert.False(t, ok, "no time has passed")
	_, ok = readCPU(t, v2, time.Second).Share(readCPU(t, v2, 0))
	assert.True(t, ok, "nothing was used in a second")
	_, ok = readCPU(t, bare, time.Second).Share(CPU{})
	assert.False(t, ok, "the first reading was none")
}

func TestGarbageAboutCPUsIsAnError(t *testing.T) {
	const max = "/sys/fs/cgroup/shop.slice/cpu.max"
	for _, test := range []struct {
		base, bad files
		says      string
	}{
		{bare, files{"/proc/stat": ""}, "/proc/stat"},
		{bare, files{"/proc/stat": "nothing\n"}, "/proc/stat lists none"},
		{bare, files{"/proc/stat": "cpux 1 2 3 4\n"}, `"cpux" is not a CPU`},
		{bare, files{"/proc/stat": "cpu0 1 2 three 4\n"}, `"three" is not a number`},
		{bare, files{"/proc/self/status": "Cpus_allowed_list:\tall\n"}, `"all" is not a list of CPUs`},
		{bare, files{"/proc/self/status": "Cpus_allowed_list:\t77\n"}, "none of the CPUs"},
		{v2, files{max: "lots\n"}, max + `: "lots" is not a quota`},
		{v2, files{max: "lots 100000\n"}, max + `: "lots" is not a number`},
		{v2, files{max: "1000 never\n"}, `"never" is not a number`},
		{v2, files{max: "1000 0\n"}, "makes no sense"},
		{v2, files{"/sys/fs/cgroup/shop.slice/cpu.stat": "usage_usec many\n"}, `"many" is not a number`},
		{v1, files{"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "x\n"}, `"x" is not a number`},
		{v1, files{"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "y\n"}, `"y" is not a number`},
		{v1, files{"/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "z\n"}, `"z" is not a number`},
		{v1, files{"/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "", "/proc/self/stat": "1 (x) S 1\n"}, "too few fields"},
		{v1, files{"/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "", "/proc/self/stat": ""}, "/proc/self/stat"},
	} {
		_, err := test.base.with(test.bad).write(t).ReadCPU(noon)
		assert.ErrorContains(t, err, test.says)
	}
}
