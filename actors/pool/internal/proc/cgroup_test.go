package proc

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A directory of plain files stands in for the cgroup file system: what is written where, and what is made of what is read.
// What the kernel does with it is not tested here.
func fixture(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

func content(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	require.NoError(t, err)
	return string(text)
}

func TestADirectoryMustBeADelegatedCgroup(t *testing.T) {
	require.ErrorContains(t, CheckCgroup(t.TempDir()), "is no cgroup of version 2")
	require.ErrorContains(t, CheckCgroup(fixture(t, map[string]string{"cgroup.controllers": "cpu pids\n"})), `has no memory controller: it has "cpu pids"`)
	dir := fixture(t, map[string]string{"cgroup.controllers": "cpu memory\n", "cgroup.subtree_control": "cpu\n"})
	require.NoError(t, CheckCgroup(dir))
	require.Equal(t, "+memory", content(t, dir, "cgroup.subtree_control"), "those below get the controller")
	require.NoError(t, CheckCgroup(fixture(t, map[string]string{"cgroup.controllers": "memory\n", "cgroup.subtree_control": "memory\n"})))
}

func TestACgroupCapsKillsAndTells(t *testing.T) {
	parent := t.TempDir()
	g, err := NewCgroup(parent, "child")
	require.NoError(t, err)
	_, err = NewCgroup(parent, "child")
	require.Error(t, err, "it is there already")
	path := filepath.Join(parent, "child")
	require.Error(t, g.Cap(1), "the kernel tells no memory.current")
	for file, text := range map[string]string{"memory.current": "1000\n", "memory.max": "max\n", "memory.oom.group": "0\n", "cgroup.kill": "", "memory.events": "low 0\noom 3\noom_kill 0\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(path, file), []byte(text), 0o644))
	}
	require.NoError(t, g.Cap(500), "a kernel without swap has no memory.swap.max")
	require.Equal(t, "1500", content(t, path, "memory.max"))
	require.Equal(t, "1", content(t, path, "memory.oom.group"))
	require.False(t, g.OutOfMemory())
	require.NoError(t, os.WriteFile(filepath.Join(path, "memory.events"), []byte("oom_kill 1\noom_group_kill 1\n"), 0o644))
	require.True(t, g.OutOfMemory())
	g.Kill()
	require.Equal(t, "1", content(t, path, "cgroup.kill"))
	for _, file := range []string{"memory.current", "memory.max", "memory.oom.group", "memory.swap.max", "cgroup.kill", "memory.events"} {
		_ = os.Remove(filepath.Join(path, file)) // the kernel's files go with the directory
	}
	require.NoError(t, g.Remove())
	require.NoDirExists(t, path)
}
