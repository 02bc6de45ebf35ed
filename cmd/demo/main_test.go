package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-go/penstock/actors/pool"
	"github.com/penstock-go/penstock/cmd/demo/internal/mill"
	"github.com/penstock-go/penstock/internal/fleet"
	"github.com/penstock-go/penstock/internal/puppet"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain is the second act's server, a node, or a child process of the third act's pools, where the act has started this binary as one.
func TestMain(m *testing.M) {
	pool.Main()
	puppet.Main(fleet.Parts)
	if config, ok := os.LookupEnv(mill.Variable); ok {
		os.Exit(mill.Main(config, os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// demo runs the command and returns what it printed.
func demo(t *testing.T, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(t.Context(), args, stdin, &out, &errs)
	return code, out.String(), errs.String()
}

// golden compares got with testdata/name.golden.
func golden(t *testing.T, name, got string) {
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "if the change is meant: go test ./cmd/demo -update")
}

func TestLogReport(t *testing.T) {
	code, stdout, stderr := demo(t, nil, "-log", "testdata/sample.log", "-limit", "10/6s", "-limit", "3/2s", "-limit", "60/1m")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	golden(t, "sample", stdout)
}

func TestLogReportRefusing(t *testing.T) {
	code, stdout, stderr := demo(t, nil, "-log", "testdata/sample.log", "-max-waiting", "5")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	golden(t, "sample-max-waiting", stdout)
}

func TestLogReportAsJSON(t *testing.T) {
	code, stdout, _ := demo(t, nil, "-log", "testdata/sample.log", "-json")
	assert.Equal(t, exitOK, code)
	var report logReport
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&report))
	assert.Equal(t, 197, report.Requests)
	assert.Equal(t, 3, report.Malformed)
	require.Len(t, report.Limits, 1)
	assert.Equal(t, "10/6s", report.Limits[0].Limit)
	assert.Equal(t, report.Requests, report.Limits[0].All.Count)
}

// TestLogSources: the same log gives the same report, however it comes.
func TestLogSources(t *testing.T) {
	plain, err := os.ReadFile("testdata/sample.log")
	require.NoError(t, err)
	_, want, _ := demo(t, nil, "-log", "testdata/sample.log")
	_, body, _ := strings.Cut(want, ":")

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	file := filepath.Join(t.TempDir(), "log.without-suffix")
	require.NoError(t, os.WriteFile(file, zipped.Bytes(), 0o600))

	for name, src := range map[string][]byte{"plain": plain, "gzip": zipped.Bytes(), "CRLF": bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n"))} {
		code, stdout, stderr := demo(t, bytes.NewReader(src), "-log", "-")
		assert.Equal(t, exitOK, code, name)
		assert.Empty(t, stderr, name)
		assert.Equal(t, "standard input:"+body, stdout, name)
	}
	_, stdout, _ := demo(t, nil, "-log", file)
	assert.Equal(t, file+":"+body, stdout)
}

func TestLogFailures(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for path, says := range map[string]string{
		filepath.Join(dir, "none"):             "no such file",
		dir:                                    "is a directory; -log takes a file",
		write("empty", ""):                     "empty: it holds no request",
		write("blank", "\n\r\n\n"):             "empty: it holds no request",
		write("alien", "{\"at\":1}\n{}\n"):     "none of its lines is in the common or combined log format (2 lines); the first: line 1: ",
		write("broken.gz", "\x1f\x8b\x08junk"): "gzip: ",
	} {
		code, stdout, stderr := demo(t, nil, "-log", path)
		assert.Equal(t, exitFailed, code, path)
		assert.Empty(t, stdout, path)
		assert.Contains(t, stderr, says, path)
		assert.Contains(t, stderr, path)
	}
	code, _, stderr := demo(t, strings.NewReader(""), "-log", "-")
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, "demo: standard input: empty: it holds no request\n", stderr)
}

func TestUsage(t *testing.T) {
	for _, h := range []string{"-h", "-help", "--help"} {
		code, stdout, stderr := demo(t, nil, h)
		assert.Equal(t, exitOK, code)
		assert.Equal(t, usage, stdout)
		assert.Empty(t, stderr)
	}
	for _, c := range []struct{ args, says string }{
		{"-frequency 3", "not defined: -frequency"},
		{"access.log", `"access.log" is not a flag; a log is named with -log`},
		{"-log x -limit ten", "-limit"},
		{"-log x -limit 0/6s", "-limit"},
		{"-limit 10/6s", "-limit needs -log"},
		{"-max-waiting 3", "-max-waiting needs -log"},
		{"-log x -max-waiting 0", "-max-waiting is 0, it takes 1 or more"},
		{"-log x -quick -users 3", "-users does not go with -log\n-quick does not go with -log"},
		{"-log=", "-log takes a file, or - for standard input"},
		{"-act encore", `-act is "encore", it takes race, overload, pool, stat or batch`},
		{"-act race -log x", "-act does not go with -log"},
		{"-act overload -users 3", "-users does not go with -act overload"},
		{"-act pool -users 3", "-users does not go with -act pool"},
		{"-act race -dir .", "-dir does not go with -act race"},
		{"-act pool -db x", "-db does not go with -act pool"},
		{"-act stat -pg postgres://localhost/x", "-pg does not go with -act stat"},
		{"-act batch -db x", "-db does not go with -act batch"},
		{"-pg postgres://localhost/x -log y", "-pg does not go with -log"},
		{"-pg=", "-pg is empty, it takes a PostgreSQL database"},
		{"-pg postgres://:none/", "-pg takes a PostgreSQL database, postgres://user@host/name: "},
		{"-act stat -dir .", "-dir does not go with -act stat"},
		{"-db x -log y", "-db does not go with -log"},
		{"-act stat -quick -log x", "-quick does not go with -log"},
		{"-act stat -log x -limit 10/6s -max-waiting 3", "-limit does not go with -act stat\n-max-waiting does not go with -act stat"},
		{"-db=", "-db is empty, it takes a file that is not there yet"},
		{"-db main.go", `-db is "main.go", it takes a file that is not there yet, and that one is`},
		{"-db nowhere/x", `-db is "nowhere/x", it takes a file in a directory that is there`},
		{"-dir . -log x", "-dir does not go with -log"},
		{"-dir=", "-dir is empty, it takes a directory"},
		{"-dir nowhere", `-dir is "nowhere", it takes a directory: stat nowhere: `},
		{"-dir main.go", `-dir is "main.go", it takes a directory, and that is a file`},
		{"-act overload -duration 2h", "-duration is 2h0m0s, it takes 1s to 1h"},
		{"-duration 10ms", "-duration is 10ms, it takes 1s to 1h"},
		{"-nodes 1", "-nodes is 1, it takes 2 to 16"},
		{"-nodes 17", "-nodes is 17, it takes 2 to 16"},
		{"-nodes 3 -act race -seed 2", "-act does not go with -nodes\n-seed does not go with -nodes"},
		{"-nodes 3 -log x", "-log does not go with -nodes"},
		{"-users 0", "-users is 0, it takes 1 to 200"},
	} {
		code, stdout, stderr := demo(t, nil, strings.Fields(c.args)...)
		assert.Equal(t, exitUsage, code, c.args)
		assert.Empty(t, stdout, c.args)
		assert.Contains(t, stderr, c.says, c.args)
		assert.Contains(t, stderr, "Run it with -h", c.args)
	}
}

// TestInterruptedLog: Ctrl-C while the log still comes in prints what was read until then.
func TestInterruptedLog(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	go func() {
		for range 2000 { // more than the reader's buffer holds, so that some of it has been counted
			_, _ = io.WriteString(feed, logLine("192.0.2.1", time.Unix(0, 0)))
		}
		cancel()
	}()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitOK, run(ctx, []string{"-log", "-"}, src, &stdout, &stderr))
	assert.Empty(t, stderr.String())
	assert.Contains(t, stdout.String(), "Interrupted: this is how far it came.")
	assert.Contains(t, stdout.String(), "by 1 client,")
}

// TestDurations: what is given is for all acts, and what is not is each one's own.
func TestDurations(t *testing.T) {
	for args, want := range map[string][5]time.Duration{
		"":                       {20 * time.Second, 10 * time.Second, 15 * time.Second, 5 * time.Second, 10 * time.Second},
		"-quick":                 {5500 * time.Millisecond, 2 * time.Second, 3 * time.Second, time.Second, time.Second},
		"-duration 5s":           {5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second},
		"-duration 8s -quick":    {8*time.Second + 2*time.Second/3, 8 * time.Second, 8 * time.Second, 8 * time.Second, 8 * time.Second},
		"-act race -duration 5s": {5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second},
	} {
		o, err := parseOptions(strings.Fields(args))
		require.NoError(t, err, args)
		assert.Equal(t, want, [5]time.Duration{o.race.duration, o.overload.duration, o.pool.duration, o.stat.duration, o.batch.duration}, args)
	}
}

func TestSeedIsForAllActs(t *testing.T) {
	o, err := parseOptions([]string{"-seed", "7"})
	require.NoError(t, err)
	assert.Equal(t, [5]uint64{7, 7, 7, 7, 7}, [5]uint64{o.race.seed, o.overload.seed, o.pool.seed, o.stat.seed, o.batch.seed})
}

func TestWholeWindows(t *testing.T) {
	for _, c := range []struct{ d, want time.Duration }{{1, 2}, {5, 5}, {6, 8}, {8, 8}, {20, 20}, {23, 23}, {24, 26}} {
		assert.Equal(t, c.want*time.Second, wholeWindows(c.d*time.Second, 6*time.Second))
	}
}
