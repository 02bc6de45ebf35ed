package wasm

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/pool"
)

// command is a guest whose _start is the given code, with a page of memory. Its imports are numbered by the constants below.
func command(start ...any) guest {
	return guest{imports: system(), memory: []uint32{1, 16}, funcs: []fn{{name: "_start", locals: "i", code: code(start...)}}}
}

// What guests of these tests import from WASI.
const (
	fdRead = iota
	fdWrite
	procExit
	argsSizes
	environSizes
	clockTime
	random
	pathOpen
	fdRenumber
	fdClose
	createDirectory
)

func system() []imported {
	return []imported{
		{wasi, "fd_read", "iiii", "i"},
		{wasi, "fd_write", "iiii", "i"},
		{wasi, "proc_exit", "i", ""},
		{wasi, "args_sizes_get", "ii", "i"},
		{wasi, "environ_sizes_get", "ii", "i"},
		{wasi, "clock_time_get", "ili", "i"},
		{wasi, "random_get", "ii", "i"},
		{wasi, "path_open", "iiiiillii", "i"},
		{wasi, "fd_renumber", "ii", "i"},
		{wasi, "fd_close", "i", "i"},
		{wasi, "path_create_directory", "iii", "i"},
	}
}

const vector, moved = 0, 8 // in memory: where and how much to read or write; and how much it was

// transfer reads or writes n bytes at a place in memory.
func transfer(by, file, at int, n any) []byte {
	return code(vector, at, store, vector+4, n, store, file, vector, 1, moved, do(by), drop)
}

// copyAll copies standard input to standard output.
func copyAll() []byte {
	return code(loop,
		transfer(fdRead, 0, 1024, 16384), moved, load, tee(0), when, transfer(fdWrite, 1, 1024, get(0)), again(1), end, end)
}

func TestMainCopiesItsInputToItsOutput(t *testing.T) {
	m := compile(t, command(copyAll()), Config{})
	for _, input := range []string{"", "some input", strings.Repeat("x", 1<<20)} {
		got, err := m.Main([]byte(input))(context.Background())
		require.NoError(t, err)
		assert.Equal(t, input, string(got))
	}
	assert.Equal(t, Info{Started: 3}, m.Info(), "each has an instance of its own")
}

func TestMainIsGivenArgumentsAndEnvironment(t *testing.T) {
	m := compile(t, command(
		1024, 1028, do(argsSizes), drop, 1032, 1036, do(environSizes), drop, transfer(fdWrite, 1, 1024, 16),
	), Config{Name: "prog", Env: map[string]string{"NAME": "value", "A": ""}})
	got, err := m.Main(nil, "one", "two")(context.Background())
	require.NoError(t, err)
	assert.Equal(t, []byte{3, 0, 0, 0, 13, 0, 0, 0, 2, 0, 0, 0, 14, 0, 0, 0}, got, "counts, and bytes with zero bytes after each")
}

func TestP7_AnExitStatusIsTold(t *testing.T) {
	m := compile(t, command(transfer(fdWrite, 2, 1024, 8), 3, do(procExit)), Config{})
	_, err := pool.Run(context.Background(), newPool(t, pool.Config{}), pool.Task{Name: "task"}, m.Main(nil))
	var crash *pool.CrashError
	require.ErrorAs(t, err, &crash)
	assert.Equal(t, pool.CrashError{Pool: "test", Task: "task", ExitCode: 3, Stderr: "\x00\x00\x00\x00\x00\x00\x00\x00"}, *crash)

	m = compile(t, command(copyAll(), 0, do(procExit), unreachable), Config{})
	got, err := m.Main([]byte("text"))(context.Background())
	require.NoError(t, err, "exit status 0 is a success")
	assert.Equal(t, "text", string(got))

	g := command()
	g.funcs = append(g.funcs, fn{name: "leave", code: code(0, do(procExit))})
	m = compile(t, g, Config{})
	_, err = m.Call("leave")(context.Background())
	require.ErrorAs(t, err, &crash, "but not in a call, which it leaves without an answer")
	assert.Zero(t, crash.ExitCode)
	assert.Zero(t, m.Info().Idle)
}

func TestP6_ACommandThatRunsOutOfMemoryIsTold(t *testing.T) {
	m := compile(t, command(100, grow, drop, 2, do(procExit)), Config{MaxMemory: 2 * page})
	_, err := m.Main(nil)(context.Background())
	var full *pool.MemoryError
	require.ErrorAs(t, err, &full)
	assert.Contains(t, full.Detail, "it was refused more, and then: module closed with exit_code(2)")
	m = compile(t, command(100, grow, drop, 0, do(procExit)), Config{MaxMemory: 2 * page})
	_, err = m.Main(nil)(context.Background())
	require.NoError(t, err, "a command that can do with less is a success")
}

func TestTooMuchOutputIsAnError(t *testing.T) {
	m := compile(t, command(loop, transfer(fdWrite, 1, 1024, 100), again(0), end), Config{MaxOutput: 1000})
	_, err := m.Main(nil)(context.Background())
	var answer *AnswerError
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, "it has more than 1000 bytes", answer.Why)

	m = compile(t, command(transfer(fdWrite, 1, 1024, 1000)), Config{MaxOutput: 1000})
	got, err := m.Main(nil)(context.Background())
	require.NoError(t, err)
	assert.Len(t, got, 1000)
}

func TestWhatIsPrintedIsInTheError(t *testing.T) {
	g := command()
	g.data = strings.Repeat("a", 3<<10) + strings.Repeat("b", 3<<10) + "last words"
	g.funcs = append(g.funcs,
		fn{name: "few", code: code(transfer(fdWrite, 1, 6<<10, 10), unreachable)},
		fn{name: "many", code: code(transfer(fdWrite, 2, 16, 6<<10-16+10), unreachable)},
		fn{name: "quiet", code: code(transfer(fdWrite, 2, 6<<10, 10))},
		fn{name: "trap", code: code(unreachable)},
	)
	m := compile(t, g, Config{})
	printed := func(function string) string {
		_, err := m.Call(function)(context.Background())
		var trap *TrapError
		require.ErrorAs(t, err, &trap)
		return trap.Stderr
	}
	assert.Equal(t, "last words", printed("few"))
	assert.Equal(t, strings.Repeat("a", printedHalf)+"\n… 2042 bytes …\n"+strings.Repeat("b", printedHalf-10)+"last words", printed("many"))
	_, err := m.Call("quiet")(context.Background())
	require.NoError(t, err)
	assert.Empty(t, printed("trap"), "an earlier call of the instance has printed something else")
}

func TestNothingOfTheWorldOutsideIsSeenUnlessGiven(t *testing.T) {
	g := command(
		0, long(0), 1024, do(clockTime), drop, 1032, 8, do(random), drop, transfer(fdWrite, 1, 1024, 16),
	)
	run := func(cfg Config) string {
		got, err := compile(t, g, cfg).Main(nil)(context.Background())
		require.NoError(t, err)
		return string(got)
	}
	closed := run(Config{})
	assert.Equal(t, closed, run(Config{}), "it is always the same")
	assert.NotEqual(t, closed[:8], run(Config{Clock: true})[:8])
	assert.Equal(t, closed[8:], run(Config{Clock: true})[8:])
	assert.NotEqual(t, closed[8:], run(Config{Random: true})[8:])
	assert.Equal(t, closed[:8], run(Config{Random: true})[:8])
}

// filer opens, closes, renumbers and makes files. Each function returns WASI's error number.
func filer() guest {
	const path, opened = 0, 64
	g := command()
	g.data = "file" + "none"
	open := func(at int) []byte {
		return code(3, 0, at, 4, 0, long(2), long(2), 0, opened, do(pathOpen))
	}
	g.funcs = append(g.funcs,
		fn{name: "open", results: "i", code: open(path)},
		fn{name: "openNone", results: "i", code: open(path + 4)},
		fn{name: "close", results: "i", code: code(opened, load, do(fdClose))},
		fn{name: "renumber", params: "i", results: "i", code: code(opened, load, get(0), do(fdRenumber))},
		fn{name: "make", results: "i", code: code(3, path+4, 4, do(createDirectory))},
		fn{name: "read", results: "i", code: code(vector+256, 512, store, vector+260, 8, store,
			opened, load, vector+256, 1, moved, do(fdRead), drop, 512, load)},
	)
	return g
}

func TestFilesAreReadOnlyAndBounded(t *testing.T) {
	files := fstest.MapFS{"file": {Data: []byte("data")}}
	m := compile(t, filer(), Config{Dirs: map[string]fs.FS{"/": files}})
	call := func(function string, args ...uint64) uint32 {
		got, err := m.Call(function, args...)(context.Background())
		require.NoError(t, err)
		return uint32(got[0])
	}
	const success, noEntry, notSupported = 0, 44, 58
	assert.EqualValues(t, noEntry, call("openNone"))
	assert.EqualValues(t, success, call("open"))
	assert.EqualValues(t, 'd'|'a'<<8|'t'<<16|'a'<<24, call("read"))
	assert.NotEqualValues(t, success, call("make"))
	assert.EqualValues(t, notSupported, call("renumber", 1<<31-1), "which would have the host allocate 16 GiB")
	assert.EqualValues(t, success, call("close"))
	open := 0
	for open < 2*maxFiles && call("open") == success {
		open++
	}
	assert.Equal(t, maxFiles-1, open, "the directory itself is open too")
	assert.EqualValues(t, success, call("close"))
	assert.EqualValues(t, success, call("open"), "one has been closed")
	m = compile(t, filer(), Config{})
	assert.NotEqualValues(t, success, call("open"))
}
