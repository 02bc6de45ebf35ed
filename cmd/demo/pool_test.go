package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// files makes a directory with n small files, and says how many bytes are in them.
func files(t *testing.T, n int) (dir string, size int64) {
	dir = t.TempDir()
	for i := range n {
		text := strings.Repeat(fmt.Sprintf("line %d\n", i), 10+i)
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.txt", i)), []byte(text), 0o600))
		size += int64(len(text))
	}
	return dir, size
}

// TestQuickPool runs the whole act: every promise is kept, on any machine, and what is told of it fits together.
func TestQuickPool(t *testing.T) {
	dir, size := files(t, 200)
	code, stdout, stderr := demo(t, nil, "-act", "pool", "-quick", "-json", "-dir", dir)
	var all results
	require.NoError(t, json.Unmarshal([]byte(stdout), &all), stderr)
	require.NotNil(t, all.Pool)
	r := *all.Pool
	require.Empty(t, r.Broken)
	assert.True(t, r.Kept)
	assert.Equal(t, exitOK, code, stderr)
	assert.False(t, r.Interrupted)

	assert.Positive(t, r.filesDone())
	assert.LessOrEqual(t, r.filesDone(), 200, "on a slow machine the time is over before all are done")
	assert.Equal(t, r.filesAsked(), r.filesDone())
	if r.filesDone() == 200 {
		assert.Equal(t, size, r.Read)
	}
	assert.Positive(t, r.Zipped)
	told := make(map[string]poolRow)
	for _, row := range r.Rows {
		told[row.Name] = row
		assert.Equal(t, map[ending]int{row.Must: row.Asked}, row.Endings, row.Name)
		assert.Equal(t, row.Asked, row.Answers.Count, row.Name)
	}
	for k := range kindCount {
		if k.misbehaves() {
			assert.Equal(t, customers, told[kinds[k].name].Asked, "each customer asked once for what %s", kinds[k].name)
			assert.NotEmpty(t, told[kinds[k].name].Error)
		}
	}
	assert.GreaterOrEqual(t, told["endless"].Answers.P50, 250*time.Millisecond, "its MaxTime")

	require.Equal(t, customers, r.Deaf)
	require.Len(t, r.Stuck, customers)
	for _, s := range r.Stuck {
		assert.Equal(t, "deaf", s.Task)
		assert.Contains(t, firstLine(s.Stack), "(*snag).deaf")
	}
	require.Len(t, r.Customers, customers+1)
	for _, c := range r.Customers {
		assert.Positive(t, c.Most.Workers, c.Name)
		assert.LessOrEqual(t, c.Turns, c.Asked, c.Name)
	}
	assert.Less(t, r.Customers[0].Limit.Workers, r.Customers[customers].Limit.Workers, "neither customer can take all")
	assert.Positive(t, r.Heap)
}

// short is an act whose functions only end when they are told to.
func short() poolAct {
	return poolAct{repeat: 1, patience: time.Hour, duration: time.Hour, seed: 1}
}

// TestInterruptedPool: Ctrl-C answers whoever still waits, and prints what has been; nothing is left behind then either.
func TestInterruptedPool(t *testing.T) {
	dir, _ := files(t, 40)
	ctx, cancel := context.WithCancel(t.Context())
	a := short()
	a.dir, a.files = dir, 40
	found, err := a.find(ctx)
	require.NoError(t, err)
	var plan [customers][]errand
	for _, path := range found.files {
		plan[0] = append(plan[0], errand{kind: file, path: path})
	}
	plan[0] = append(plan[0], errand{kind: deaf}, errand{kind: endless}) // they never end by themselves
	r, err := a.play(ctx, plan, &onWrite{text: "two customers, one machine: 31 of 42", do: cancel})
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.Empty(t, r.Broken)
	assert.Equal(t, r.Deaf, len(r.Stuck))
	var b strings.Builder
	require.NoError(t, r.print(&b))
	assert.Contains(t, b.String(), "Interrupted: this is how far it came in ")
	assert.Contains(t, b.String(), "given up")
}

// TestInterruptedBeforeTheFirstFile has nothing to show but that nothing is left.
func TestInterruptedBeforeTheFirstFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := short().play(ctx, short().plan([]string{"a", "b"}), &bytes.Buffer{})
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.Empty(t, r.Rows)
	assert.True(t, r.Kept)
}

// TestUnansweredPool: a function that nobody ends is given up in the end, and that breaks a promise.
func TestUnansweredPool(t *testing.T) {
	a := short()
	a.duration = 100*time.Millisecond - overtime
	r, err := a.play(t.Context(), [customers][]errand{{{kind: endless}}, {{kind: deaf}}}, &bytes.Buffer{})
	require.NoError(t, err)
	assert.False(t, r.Interrupted)
	assert.False(t, r.Kept)
	require.Len(t, r.Broken, 2)
	assert.Contains(t, r.Broken[0], `deaf: all 1 must have ended with "timed out": given up`)
	assert.Contains(t, r.Broken[1], `endless: all 1 must have ended with "timed out": given up`)
}

// TestPoolWhoseTimeIsOver asks for no more files, but still for everything that gets out of hand.
func TestPoolWhoseTimeIsOver(t *testing.T) {
	a := short()
	a.duration = 0
	r, err := a.play(t.Context(), [customers][]errand{{{file, "a"}, {panics, ""}}, {{file, "b"}, {goexits, ""}}}, &bytes.Buffer{})
	require.NoError(t, err)
	assert.True(t, r.Kept, r.Broken)
	assert.Equal(t, 2, r.Skipped)
	assert.Zero(t, r.filesAsked())
	var b strings.Builder
	require.NoError(t, r.print(&b))
	assert.Contains(t, b.String(), "The time was over before 2 more files were asked for.")
}

// TestFileThatCannotBeRead is its own fault: its caller is told so, and no promise is broken.
func TestFileThatCannotBeRead(t *testing.T) {
	var plan [customers][]errand
	for c, k := range []kind{file, childFile} {
		if k.playable() {
			plan[c] = []errand{{k, filepath.Join(t.TempDir(), "gone")}}
		}
	}
	r, err := short().play(t.Context(), plan, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Empty(t, r.Broken)
	assert.Zero(t, r.filesDone())
	var b strings.Builder
	require.NoError(t, r.print(&b))
	for _, row := range r.Rows {
		assert.Equal(t, map[ending]int{unreadable: 1}, row.Endings, row.Name)
		assert.Contains(t, row.Other, "no such file", row.Name)
		assert.Contains(t, b.String(), row.Name+" ")
	}
	assert.Contains(t, b.String(), "1 time, the first: open ")
}

// fixedPool is a result as a run might have it.
func fixedPool() poolResult {
	r := poolResult{
		Dir: "/go/src", Seed: 1, Elapsed: 6200 * time.Millisecond, Read: 127_600_000, Zipped: 34_800_000, Heap: 24 << 20,
		Deaf: 2, Held: held{Workers: 2, Memory: 2 << 20},
		Customers: []customerRow{
			{"archive", 16, 8638, held{3, 68 << 20}, held{3, 66 << 20}, 2900},
			{"web", 4, 2854, held{3, 68 << 20}, held{2, 65 << 20}, 2820},
			{"together", 20, 11492, held{4, 132 << 20}, held{4, 131 << 20}, 5720},
		},
	}
	errs := map[kind]string{
		deaf:    `pool "web": task "deaf" took more than 250ms to complete`,
		endless: `pool "web": task "endless" took more than 250ms to complete`,
		panics:  "panic: runtime error: invalid memory address or nil pointer dereference",
		goexits: "the function ended its goroutine with runtime.Goexit",
		spins:   `pool "archive": task "spins" took more than 250ms to complete`,
		killed:  `pool "archive": task "killed" was killed: the operator had enough of it`,
		eats:    `pool "archive": task "eats" ran out of memory: it may have 67108864 bytes`,
		exits:   "pool \"web\": task \"exits\": crashed: exit status 3\nand what it wrote",
	}
	for k := range kindCount {
		n := 8
		switch k {
		case file:
			n = 11_230
		case childFile:
			n = 230
		case deaf:
			n = 2
		}
		r.Rows = append(r.Rows, poolRow{
			Name: kinds[k].name, Tier: kinds[k].tier.String(), Asked: n, Must: kinds[k].ends,
			Endings: map[ending]int{kinds[k].ends: n}, Error: errs[k],
			Answers: quantiles{Count: n, P50: time.Duration(k+1) * 10 * time.Millisecond, Max: time.Duration(k+1) * 40 * time.Millisecond},
		})
	}
	for _, customer := range customerNames {
		stack := "main.(*snag).deaf+0x3a\t/demo/pool_faults.go:91\nmain.(*works).call\t/demo/pool.go:1"
		r.Stuck = append(r.Stuck, stuck{"deaf", customer, stack})
	}
	r.Broken = r.broken()
	r.Kept = len(r.Broken) == 0
	return r
}

// TestPoolReport: a fixed result's tables, word for word.
func TestPoolReport(t *testing.T) {
	if !eats.playable() {
		t.Skip("this system's announcement is another one")
	}
	var b strings.Builder
	require.NoError(t, poolAct{}.announce(&b, tree{dir: "/go/src", files: make([]string, 11_460)}))
	require.NoError(t, fixedPool().print(&b))
	golden(t, "pool", b.String())
}

func TestBrokenPoolPromises(t *testing.T) {
	require.True(t, fixedPool().Kept)
	for says, breaks := range map[string]func(*poolResult){
		`file: all 11,230 must have ended with "value": 11,229 value, 1 strange`: func(r *poolResult) {
			r.Rows[file].Endings = map[ending]int{value: 11_229, strange: 1}
		},
		`panics: all 8 must have ended with "panicked": 7 panicked, 1 value`: func(r *poolResult) {
			r.Rows[panics].Endings = map[ending]int{panicked: 7, value: 1}
		},
		`spins: all 8 must have ended with "timed out": 7 timed out, 1 given up`: func(r *poolResult) {
			r.Rows[spins].Endings = map[ending]int{timedOut: 7, givenUp: 1}
		},
		"web: it held 4 workers and 65 MiB at once":          func(r *poolResult) { r.Customers[1].Most.Workers = 4 },
		"together: it held 4 workers and 133 MiB at once":    func(r *poolResult) { r.Customers[2].Most.Memory = 133 << 20 },
		"2 functions got stuck, and the pool shows 1":        func(r *poolResult) { r.Stuck = r.Stuck[:1] },
		"nobody can tell where deaf of web is stuck":         func(r *poolResult) { r.Stuck[1].Stack = "" },
		"3 workers and 2 MiB are held after the last answer": func(r *poolResult) { r.Held.Workers = 3 },
		"1 worker and 0 MiB are held when nothing is stuck":  func(r *poolResult) { r.Left.Workers = 1 },
		"child processes are left behind: 1":                 func(r *poolResult) { r.Children = 1 },
		"it does not close":                                  func(r *poolResult) { r.Close = "it does not close" },
	} {
		r := fixedPool()
		for i := range r.Rows {
			r.Rows[i].Endings = maps.Clone(r.Rows[i].Endings)
		}
		breaks(&r)
		r.Broken, r.Kept = r.broken(), false
		require.Len(t, r.Broken, 1, says)
		assert.Contains(t, r.Broken[0], says)
		var b strings.Builder
		require.NoError(t, r.print(&b))
		assert.Contains(t, b.String(), "Penstock BROKE its promise: ")
		assert.Contains(t, b.String(), r.Broken[0])
	}
}

// TestInterruptedPoolPromise: who was given up because of the interruption is not missing, but nobody else may be.
func TestInterruptedPoolPromise(t *testing.T) {
	r := fixedPool()
	r.Interrupted = true
	r.Rows[spins].Endings = map[ending]int{timedOut: 7, givenUp: 1}
	assert.Empty(t, r.broken())
	r.Rows[spins].Asked++
	assert.Len(t, r.broken(), 1)
}

// TestUnknownChildren: where the system does not tell what is left behind, nothing is made up.
func TestUnknownChildren(t *testing.T) {
	r := fixedPool()
	r.Children = unknown
	assert.Empty(t, r.broken())
	var b strings.Builder
	require.NoError(t, r.print(&b))
	assert.Contains(t, b.String(), "0, 0 MiB         -\n")
}
