package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/pool"
)

// TestPlan: one seed, one plan; every file is in it once, and every function that gets out of hand as often as it should.
func TestPlan(t *testing.T) {
	paths := make([]string, 2000)
	for i := range paths {
		paths[i] = fmt.Sprint(i)
	}
	a := poolAct{repeat: 3, seed: 1}
	plan := a.plan(paths)
	assert.Equal(t, plan, a.plan(paths))
	assert.NotEqual(t, plan, poolAct{repeat: 3, seed: 2}.plan(paths))
	var counts [customers][kindCount]int
	seen := make(map[string]bool)
	for c, errands := range plan {
		for _, e := range errands {
			counts[c][e.kind]++
			assert.Equal(t, e.kind.files(), e.path != "")
			assert.False(t, seen[e.path], e.path)
			seen[e.path] = e.kind.files()
		}
	}
	for _, path := range paths {
		assert.True(t, seen[path], path)
	}
	for k := range kindCount {
		switch {
		case k.files():
		case !k.playable():
			assert.Zero(t, counts[0][k]+counts[1][k])
		case k == deaf:
			assert.Equal(t, [2]int{1, 1}, [2]int{counts[0][k], counts[1][k]})
		default:
			assert.Equal(t, [2]int{3, 3}, [2]int{counts[0][k], counts[1][k]}, kinds[k].name)
		}
	}
	assert.InDelta(t, 1500, counts[0][file]+counts[0][childFile], 100, "three quarters; 19 is one standard deviation")
	if childFile.playable() {
		assert.InDelta(t, 40, counts[0][childFile]+counts[1][childFile], 30, "2 %; 6 is one standard deviation")
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int64) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Truncate(path, size))
	}
	write("b", 1)
	write("a/deep/er", 1)
	write("a/empty", 0)
	write("a/largest", largestFile)
	write("a/too large", largestFile+1)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "a", "loop")))

	real, err := filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	under := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(real, filepath.FromSlash(name)))
		}
		return paths
	}
	for _, d := range []string{dir, link} {
		got, err := poolAct{dir: d, files: 10}.find(t.Context())
		require.NoError(t, err)
		assert.Equal(t, under("a/deep/er", "a/largest", "b"), got.files)
	}
	got, err := poolAct{dir: dir, files: 1}.find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, under("a/deep/er"), got.files)

	_, err = poolAct{dir: filepath.Join(dir, "none"), files: 10}.find(t.Context())
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = poolAct{dir: t.TempDir(), files: 10}.find(t.Context())
	assert.ErrorContains(t, err, "holds no file of 1 byte to 16 MiB")
}

// TestFindByItself: without a directory it is Go's sources, which are there where a test is run.
func TestFindByItself(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	got, err := poolAct{files: 3}.find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "src", filepath.Base(got.dir))
	assert.Len(t, got.files, 3)
}

func TestDigest(t *testing.T) {
	text := bytes.Repeat([]byte("penstock "), 20_000)
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())

	d := newDigester()
	for range 3 { // the compressor is used again
		got, err := d.file(t.Context(), path)
		require.NoError(t, err)
		assert.Equal(t, digest{Hash: sha256.Sum256(text), Read: int64(len(text)), Zipped: int64(zipped.Len())}, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.file(ctx, path)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = d.file(t.Context(), path+" gone")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestEndings(t *testing.T) {
	for want, err := range map[ending]error{
		value:            nil,
		timedOut:         &pool.TimeoutError{Task: "t"},
		panicked:         &penstock.PanicError{Value: context.Canceled},
		goexited:         pool.ErrGoexit,
		outOfMemory:      &pool.MemoryError{},
		wasKilled:        &pool.KilledError{Cause: context.Canceled},
		"exit status 3":  &pool.CrashError{ExitCode: 3},
		"exit status -1": &pool.CrashError{ExitCode: -1, Signal: "killed"},
		unreadable:       &fs.PathError{Op: "open", Path: "p", Err: fs.ErrNotExist},
		givenUp:          context.Canceled,
		strange:          &pool.RejectError{Reason: pool.LineFull},
	} {
		assert.Equal(t, want, endingOf(err))
		if err != nil {
			assert.Equal(t, want, endingOf(fmt.Errorf("wrapped: %w", err)))
		}
	}
	assert.Equal(t, strange, endingOf(errors.New("what nobody thought of")))
	assert.Equal(t, givenUp, endingOf(context.DeadlineExceeded))
}

func TestRowEndings(t *testing.T) {
	assert.Equal(t, "value", poolRow{Endings: map[ending]int{value: 3}}.endings())
	assert.Equal(t, "1,200 value, 2 given up, 2 strange", poolRow{Endings: map[ending]int{strange: 2, value: 1200, givenUp: 2}}.endings())
}

// TestGauge: it keeps the most that ran at once, of each customer and of both, and counts turns while both ask.
func TestGauge(t *testing.T) {
	g := newGauge(held{4, 100})
	inner := func(context.Context) (digest, error) { return digest{}, nil }
	outer := func(ctx context.Context) (digest, error) { return g.watched(1, 5, inner)(ctx) }
	_, _ = g.watched(0, 10, outer)(t.Context())
	_, _ = g.watched(1, 7, inner)(t.Context())
	assert.Equal(t, [customers + 1]held{{1, 10}, {1, 7}, {2, 15}}, g.mu.most)
	assert.Equal(t, [customers + 1]held{}, g.mu.now)
	assert.Equal(t, [customers]int{1, 2}, g.mu.turns)
	g.oneLeft()
	assert.Panics(t, func() {
		_, _ = g.watched(1, 20, func(context.Context) (digest, error) { panic("own") })(t.Context())
	})
	assert.Equal(t, [customers]int{1, 2}, g.mu.turns)
	assert.Equal(t, held{2, 20}, g.mu.most[machine])
	assert.Equal(t, held{}, g.mu.now[machine], "a panic gives back as well")
}

func TestParentage(t *testing.T) {
	for stat, want := range map[string][2]int{
		"17 (demo) S 3 17 17 0":      {17, 3},
		"18 (a) b (c)) Z 17 17 17 0": {18, 17},
	} {
		pid, parent, ok := parentage(stat)
		assert.True(t, ok, stat)
		assert.Equal(t, want, [2]int{pid, parent}, stat)
	}
	for _, stat := range []string{"", "17", "17 (demo)", "17 (demo) S", "x (demo) S 3", "17 (demo) S x"} {
		_, _, ok := parentage(stat)
		assert.False(t, ok, stat)
	}
}

// TestChildren: one that has ended and that nobody has waited for is left, too.
func TestChildren(t *testing.T) {
	before := children()
	if before == nil {
		assert.Equal(t, unknown, before.since(nil))
		t.Skip("this system does not tell")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(self, "-test.run=^$")
	require.NoError(t, command.Start())
	assert.Equal(t, 1, children().since(before))
	require.NoError(t, command.Wait())
	assert.Zero(t, children().since(before))
}

func TestHeapWatch(t *testing.T) {
	w := watchHeap()
	big := bytes.Repeat([]byte{1}, 64<<20)
	peak := w.stop()
	assert.Greater(t, peak, int64(64<<20))
	assert.Len(t, big, 64<<20)
}

// TestProgressOf: a line for each quarter that has been reached, and none twice.
func TestProgressOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := 0
		out, in := io.Pipe()
		go func() {
			defer func() { _ = in.Close() }()
			progressOf(ctx, in, "it", 2000, func() int { done += 300; return done })
		}()
		time.AfterFunc(time.Second, cancel)
		got, err := io.ReadAll(out)
		require.NoError(t, err)
		assert.Equal(t, strings.Join([]string{"it: 500 of 2,000", "it: 1,000 of 2,000", "it: 1,500 of 2,000", ""}, "\n"), string(got))
	})
}
