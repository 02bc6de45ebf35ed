package machine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// files is a machine as its files say: path → text.
type files map[string]string

// with is the files with others added or in their place; one with no text is left out.
func (f files) with(more files) files {
	all := files{}
	for _, list := range []files{f, more} {
		for name, text := range list {
			all[name] = text
			if text == "" {
				delete(all, name)
			}
		}
	}
	return all
}

// write makes the machine.
func (f files) write(t testing.TB) Machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range f {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	return At(root)
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// bare is a machine of 4 CPUs and 16 GiB that has no groups. Its mask has more CPUs than it has itself, as on many virtual
// machines.
var bare = files{
	"/proc/stat": `cpu  400 0 400 3000 200 0 0 0 0 0
cpu0 100 0 100 750 50 0 0 0 0 0
cpu1 100 0 100 750 50 0 0 0 0 0
cpu2 100 0 100 750 50 0 0 0 0 0
cpu3 100 0 100 750 50 0 0 0 0 0
intr 878005 0 0 1
ctxt 12345
`,
	"/proc/meminfo": `MemTotal:       16777216 kB
MemFree:         1000000 kB
MemAvailable:    4194304 kB
Buffers:            7336 kB
`,
	"/proc/self/status": "Name:\ttest\nCpus_allowed:\tffff\nCpus_allowed_list:\t0-15\nMems_allowed_list:\t0\n",
	"/proc/self/stat":   "4711 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 300 200 7 8 20 0 5 0 1 2 3\n",
}

// v2 is the bare machine with groups of version 2, three deep.
var v2 = bare.with(files{
	"/proc/self/cgroup": "0::/shop.slice/api.service/worker\n",
	"/proc/self/mountinfo": `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
`,
	"/sys/fs/cgroup/cpu.stat":    "usage_usec 900000000\nuser_usec 1\nsystem_usec 1\n",
	"/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 1\n",

	"/sys/fs/cgroup/shop.slice/cpu.max":        "300000 100000\n",
	"/sys/fs/cgroup/shop.slice/cpu.stat":       "usage_usec 60000000\nuser_usec 1\nsystem_usec 1\nnr_periods 3\n",
	"/sys/fs/cgroup/shop.slice/memory.max":     "4294967296\n",
	"/sys/fs/cgroup/shop.slice/memory.current": "3221225472\n",
	"/sys/fs/cgroup/shop.slice/memory.stat":    "anon 100\ninactive_file 1073741824\nactive_file 7\n",

	"/sys/fs/cgroup/shop.slice/api.service/cpu.max":        "max 100000\n",
	"/sys/fs/cgroup/shop.slice/api.service/cpu.stat":       "usage_usec 50000000\n",
	"/sys/fs/cgroup/shop.slice/api.service/memory.max":     "max\n",
	"/sys/fs/cgroup/shop.slice/api.service/memory.current": "2147483648\n",
	"/sys/fs/cgroup/shop.slice/api.service/memory.stat":    "inactive_file 0\n",

	"/sys/fs/cgroup/shop.slice/api.service/worker/cpu.max":        "150000 100000\n",
	"/sys/fs/cgroup/shop.slice/api.service/worker/cpu.stat":       "usage_usec 40000000\n",
	"/sys/fs/cgroup/shop.slice/api.service/worker/memory.max":     "1073741824\n",
	"/sys/fs/cgroup/shop.slice/api.service/worker/memory.current": "268435456\n",
	"/sys/fs/cgroup/shop.slice/api.service/worker/memory.stat":    "inactive_file 0\n",
})

// v1 is the bare machine with groups of version 1, in a container that is told its group's name outside but sees its own
// group as the root.
var v1 = bare.with(files{
	"/proc/self/cgroup": `12:memory:/docker/abc/job
4:cpu,cpuacct:/docker/abc/job
3:cpuset:/docker/abc/job
1:name=systemd:/docker/abc/job
0::/
`,
	"/proc/self/mountinfo": `22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,relatime master:9 - cgroup cgroup rw,cpu,cpuacct
34 30 0:31 /docker/abc /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`,
	"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":      "200000\n",
	"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":     "100000\n",
	"/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage":         "30000000000\n",
	"/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us":  "-1\n",
	"/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
	"/sys/fs/cgroup/cpu,cpuacct/job/cpuacct.usage":     "20000000000\n",

	"/sys/fs/cgroup/memory/memory.limit_in_bytes":     "2147483648\n",
	"/sys/fs/cgroup/memory/memory.usage_in_bytes":     "1610612736\n",
	"/sys/fs/cgroup/memory/memory.stat":               "inactive_file 1\nhierarchical_memory_limit 536870912\ntotal_inactive_file 1073741824\n",
	"/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
	"/sys/fs/cgroup/memory/job/memory.usage_in_bytes": "104857600\n",
	"/sys/fs/cgroup/memory/job/memory.stat":           "inactive_file 1\nhierarchical_memory_limit 536870912\ntotal_inactive_file 0\n",
})
