package machine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGroupsAreThoseFromTheOwnUpwards(t *testing.T) {
	tests := []struct {
		name       string
		own, top   string
		directions []string
	}{
		{"the whole tree is seen", "/a/b", "/", []string{"/m/a/b", "/m/a", "/m"}},
		{"the root", "/", "/", []string{"/m"}},
		{"a container told its name outside", "/docker/abc", "/docker/abc", []string{"/m"}},
		{"a group below it", "/docker/abc/x", "/docker/abc", []string{"/m/x", "/m"}},
		{"a name that only begins alike", "/docker/abcdef", "/docker/abc", []string{"/m"}},
		{"outside of what can be seen", "/../sibling", "/", []string{"/m/sibling", "/m"}}, // and has no files there
		{"elsewhere", "/other", "/docker/abc", []string{"/m"}},
	}
	for _, test := range tests {
		h := hierarchy{version: 2, mount: "/m", top: test.top, own: test.own}
		assert.Equal(t, test.directions, h.groups(), test.name)
	}
	assert.Empty(t, hierarchy{own: "/a"}.groups(), "no such controller")
}

func TestControllersAreFound(t *testing.T) {
	h, err := v2.write(t).hierarchyOf("cpu")
	require.NoError(t, err)
	assert.Equal(t, hierarchy{2, "/sys/fs/cgroup", "/", "/shop.slice/api.service/worker"}, h)

	m := v1.write(t)
	h, err = m.hierarchyOf("cpu")
	require.NoError(t, err)
	assert.Equal(t, hierarchy{1, "/sys/fs/cgroup/cpu,cpuacct", "/docker/abc", "/docker/abc/job"}, h)
	h, err = m.hierarchyOf("cpuset")
	require.NoError(t, err)
	assert.Equal(t, hierarchy{2, "/sys/fs/cgroup/unified", "/", "/"}, h, "it is not mounted in version 1")

	for name, m := range map[string]files{
		"no groups in the kernel": bare,
		"no mounts":               v2.with(files{"/proc/self/mountinfo": ""}),
		"no group of its own":     v2.with(files{"/proc/self/cgroup": ""}),
		"garbage":                 v2.with(files{"/proc/self/cgroup": "what\n\n:::\n", "/proc/self/mountinfo": "x - \n - cgroup2\n1 2 3 / /x - cgroup\n"}),
	} {
		h, err := m.write(t).hierarchyOf("cpu")
		require.NoError(t, err, name)
		assert.Equal(t, hierarchy{}, h, name)
	}
}

func TestMountPointsMayHaveStrangeNames(t *testing.T) {
	m := bare.with(files{
		"/proc/self/cgroup":    "0::/it's a group:x\n",
		"/proc/self/mountinfo": "29 22 0:26 / /odd\\040\\134place rw - cgroup2 none rw\n",
	}).write(t)
	h, err := m.hierarchyOf("memory")
	require.NoError(t, err)
	assert.Equal(t, []string{`/odd \place/it's a group:x`, `/odd \place`}, h.groups())
}
