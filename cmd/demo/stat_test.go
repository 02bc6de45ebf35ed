package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/cmd/demo/internal/accesslog"
	"github.com/penstock-go/penstock/store/sqlite"
)

// countsIn opens a file as a user would afterwards.
func countsIn(t *testing.T, file string) *sql.DB {
	db, err := sqlite.Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// number is the answer to a query that has one.
func number(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	require.NoError(t, db.QueryRow(query, args...).Scan(&n))
	return n
}

// statOf plays the act with -json.
func statOf(t *testing.T, stdin []byte, args ...string) (r statResult, code int) {
	code, stdout, stderr := demo(t, bytes.NewReader(stdin), append([]string{"-act", "stat", "-json"}, args...)...)
	var all results
	require.NoError(t, json.Unmarshal([]byte(stdout), &all), stderr)
	require.NotNil(t, all.Stat)
	return *all.Stat, code
}

// TestQuickStat runs the whole act: every promise is kept, on any machine, and what is told of it is what the file says.
func TestQuickStat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts.db")
	r, code := statOf(t, nil, "-quick", "-db", file)
	require.Empty(t, r.Broken)
	assert.True(t, r.Kept)
	assert.Equal(t, exitOK, code)
	assert.False(t, r.Interrupted)
	assert.Equal(t, file, r.File)
	assert.Equal(t, "drawn traffic", r.Source)

	assert.Positive(t, r.Locks, "another connection was in the way")
	assert.Positive(t, r.Faults.Locked)
	assert.Positive(t, r.Faults.Lost, "the first COMMIT's answer at least")
	assert.GreaterOrEqual(t, r.Faults.Repeated, r.Faults.Lost)
	assert.Zero(t, r.Faults.Gone)
	assert.GreaterOrEqual(t, r.Faults.Attempts, r.Faults.Repeated+r.Rows[2].Transactions)
	assert.Positive(t, r.Heap)
	assert.Positive(t, r.Backlog.Oldest)

	db := countsIn(t, file)
	require.Len(t, r.Rows, 3)
	for _, row := range r.Rows[:2] {
		assert.Equal(t, r.Requests, number(t, db, "SELECT sum(n) FROM "+row.Name), row.Name)
		assert.Equal(t, row.Keys, number(t, db, "SELECT count(*) FROM "+row.Name), row.Name)
		assert.Equal(t, row.Transactions, number(t, db, "SELECT count(*) FROM penstock_flushes WHERE counts = ?", row.Name+".n"))
		assert.GreaterOrEqual(t, row.Increments, int64(row.Written), "how much less is written is up to the machine")
	}
	assert.Equal(t, int64(2*r.Requests), r.Rows[2].Increments)
	require.Len(t, r.TopPaths, 10)
	require.Len(t, r.TopClients, 10)
	assert.Equal(t, int64(number(t, db, "SELECT sum(n) FROM hits WHERE path = ?", r.TopPaths[0].Name)), r.TopPaths[0].N)
	assert.Equal(t, int64(number(t, db, "SELECT max(n) FROM clients")), r.TopClients[0].N)
}

// TestStatOfALog counts each of a log's requests once, however the log comes, and the file says so.
func TestStatOfALog(t *testing.T) {
	text, err := os.ReadFile("testdata/sample.log")
	require.NoError(t, err)
	want := newPlainCount()
	for _, line := range strings.Split(string(text), "\n") {
		if _, err := accesslog.ParseLine([]byte(line)); err != nil {
			continue
		}
		quoted := strings.Split(strings.ReplaceAll(line, `\"`, "\x00"), `"`)[1]
		path := pathOf(strings.ReplaceAll(quoted, "\x00", `\"`))
		require.NoError(t, want.note(request{client: strings.Fields(line)[0], hit: hit{path: path}}))
	}
	require.Equal(t, 197, want.requests)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(text)
	require.NoError(t, err)
	require.NoError(t, z.Close())

	for name, c := range map[string]struct {
		log   string
		stdin []byte
	}{"file": {"testdata/sample.log", nil}, "stdin": {"-", text}, "gzip": {"-", zipped.Bytes()}} {
		file := filepath.Join(t.TempDir(), "counts.db")
		r, code := statOf(t, c.stdin, "-log", c.log, "-db", file)
		require.Empty(t, r.Broken, name)
		assert.Equal(t, exitOK, code, name)
		assert.Equal(t, 197, r.Requests, name)
		assert.Equal(t, 3, r.Malformed, name)
		db := countsIn(t, file)
		assert.Equal(t, len(want.clients), number(t, db, "SELECT count(*) FROM clients"), name)
		for client, n := range want.clients {
			assert.Equal(t, int(n), number(t, db, "SELECT n FROM clients WHERE client = ?", client), name)
		}
		for h, n := range want.hits {
			assert.Equal(t, int(n), number(t, db, "SELECT sum(n) FROM hits WHERE path = ?", h.path), name)
		}
	}
}

// TestStatSaysWhereTheFileIs, and leaves it there.
func TestStatSaysWhereTheFileIs(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	code, stdout, stderr := demo(t, nil, "-act", "stat", "-log", "testdata/sample.log")
	assert.Equal(t, exitOK, code, stderr)
	_, after, ok := strings.Cut(stdout, "  sqlite3 ")
	require.True(t, ok, stdout)
	file, _, _ := strings.Cut(after, " ")
	assert.Positive(t, number(t, countsIn(t, file), "SELECT count(*) FROM hits"))
	assert.Contains(t, stdout, "testdata/sample.log: 3 malformed lines left out:")
	assert.Contains(t, stdout, "nothing lost, nothing stored twice.")
}

// TestStatProof: what is wrong in the file is found, and the command fails.
func TestStatProof(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts.db")
	src, feed := io.Pipe()
	tampered := make(chan error, 1)
	go func() {
		line := logLine("192.0.2.1", time.Unix(0, 0))
		for range 2000 { // more than is read ahead, so when this was taken the tables are there
			_, _ = io.WriteString(feed, line)
		}
		tampered <- insert(t.Context(), file)
		_, _ = io.WriteString(feed, line)
		_ = feed.Close()
	}()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-act", "stat", "-log", "-", "-db", file}, src, &stdout, &stderr)
	require.NoError(t, <-tampered)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr.String(), "a promise of Penstock is broken: see the stat")
	assert.Contains(t, stdout.String(), "Penstock BROKE its promise: ")
	assert.Contains(t, stdout.String(), "clients: nobody is 1 in the file, and a plain count says 0")
}

// insert adds a count that nobody counted, however long somebody else has the file locked.
func insert(ctx context.Context, file string) error {
	db, err := sqlite.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for {
		_, err = db.ExecContext(ctx, "INSERT INTO clients (client, n) VALUES ('nobody', 1)")
		if err == nil || !strings.Contains(err.Error(), "SQLITE_BUSY") {
			return err
		}
	}
}

// TestStatProofFindsEveryKind of wrong sum: too much, too little, missing, made up.
func TestStatProofFindsEveryKind(t *testing.T) {
	ctx := t.Context()
	a := statAct{file: filepath.Join(t.TempDir(), "counts.db"), log: "testdata/sample.log"}
	s, err := a.openSource(ctx, nil)
	require.NoError(t, err)
	c, err := a.open(ctx)
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.counts.close()) }()
	defer func() { assert.NoError(t, c.intruder.close()) }()
	require.NoError(t, c.work(ctx, time.Hour, s, &bytes.Buffer{}))
	require.NoError(t, c.close())
	var right statResult
	require.NoError(t, c.score(ctx, s.want(), &right))
	require.Empty(t, right.broken())

	for _, change := range []string{
		"UPDATE clients SET n = n + 1 WHERE client = (SELECT min(client) FROM clients)",
		"UPDATE hits SET n = n - 1 WHERE path = (SELECT min(path) FROM hits)",
		"DELETE FROM clients WHERE client = (SELECT max(client) FROM clients)",
		"INSERT INTO hits (path, status, n) VALUES ('/nowhere', 200, 0), ('/some\x1b[2J', 404, 7)",
	} {
		_, err := c.counts.db.Exec(change)
		require.NoError(t, err)
	}
	var wrong statResult
	require.NoError(t, c.score(ctx, s.want(), &wrong))
	said := strings.Join(wrong.broken(), "\n")
	assert.GreaterOrEqual(t, wrong.WrongSums, 4, said)
	for _, w := range wrong.Wrong {
		assert.NotEqual(t, w.Got, w.Want)
	}
	assert.Contains(t, said, "hits: /some\uFFFD[2J 404 is 7 in the file, and a plain count says 0")
	assert.Contains(t, said, "clients: what is in the file adds up to ")
}

// TestInterruptedStat: Ctrl-C ends the counting, and what was counted is stored and compared.
func TestInterruptedStat(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := statAct{file: filepath.Join(t.TempDir(), "counts.db"), duration: time.Hour}
	s, err := a.openSource(ctx, nil)
	require.NoError(t, err)
	take, taken := s.takers[0], 0
	s.takers[0] = func(into []request) (int, error) {
		if taken++; taken == 10 {
			cancel()
		}
		return take(into)
	}
	r, err := a.run(ctx, s, &bytes.Buffer{})
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.Empty(t, r.Broken)
	assert.GreaterOrEqual(t, r.Requests, 10*inOneGo)
	assert.Equal(t, r.Requests, number(t, countsIn(t, a.file), "SELECT sum(n) FROM clients"))
	var b strings.Builder
	require.NoError(t, r.print(&b))
	assert.Contains(t, b.String(), "Interrupted: this is how far it came in ")
}

// TestInterruptedStatOfALog ends while the log still comes in.
func TestInterruptedStatOfALog(t *testing.T) {
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
	file := filepath.Join(t.TempDir(), "counts.db")
	assert.Equal(t, exitOK, run(ctx, []string{"-act", "stat", "-log", "-", "-db", file}, src, &stdout, &stderr))
	assert.Empty(t, stderr.String())
	assert.Contains(t, stdout.String(), "Interrupted: this is how far it came in ")
	assert.Contains(t, stdout.String(), "Penstock kept its promise")
	assert.Positive(t, number(t, countsIn(t, file), "SELECT sum(n) FROM clients"))
}

// TestInterruptedBeforeTheFirstRequest has nothing to show but that nothing is wrong.
func TestInterruptedBeforeTheFirstRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, log := range []string{"", "testdata/sample.log"} {
		r, err := actStat(ctx, statAct{file: filepath.Join(t.TempDir(), "counts.db"), log: log, duration: time.Hour}, nil, &bytes.Buffer{}, &bytes.Buffer{})
		require.NoError(t, err)
		assert.True(t, r.Interrupted)
		assert.True(t, r.Kept, r.Broken)
		assert.Zero(t, r.Rows[2].Increments)
	}
}

// TestStatFailures: a log that cannot be counted leaves no file, and a file that is there is left alone.
func TestStatFailures(t *testing.T) {
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
		write("alien", "{\"at\":1}\n{}\n"):     "none of its lines is in the common or combined log format (2 lines); the first: line 1: ",
		write("broken.gz", "\x1f\x8b\x08junk"): "gzip: ",
	} {
		file := filepath.Join(dir, "counts.db")
		code, _, stderr := demo(t, nil, "-act", "stat", "-log", path, "-db", file)
		assert.Equal(t, exitFailed, code, path)
		assert.Contains(t, stderr, says, path)
		assert.Contains(t, stderr, path)
		left, err := filepath.Glob(file + "*")
		require.NoError(t, err)
		assert.Empty(t, left, path)
	}
	own := write("own.db", "mine")
	_, err := statAct{file: own}.place()
	assert.ErrorIs(t, err, fs.ErrExist)
	text, err := os.ReadFile(own)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(text))
}

// fixedStat is a result as a run might have it.
func fixedStat() statResult {
	r := statResult{
		Source: "access.log", File: "/home/ada/my counts.db", Seed: 1, Requests: 21_888_500, Malformed: 5,
		Counting: 5 * time.Second, Elapsed: 5080 * time.Millisecond, Locks: 9,
		Rows: []statRow{
			{"hits", 3000, 21_888_500, 184, 184, 28_960, 0, 21_888_500},
			{"clients", 2000, 21_888_500, 53, 53, 20_000, 0, 21_888_500},
			{"together", 5000, 43_777_000, 237, 237, 48_960, 0, 43_777_000},
		},
		Faults:     faultCounts{Attempts: 364, Lost: 60, Locked: 48, Repeated: 96},
		TopPaths:   []top{{"/", 1_575_167}, {"/articles/" + strings.Repeat("1", 80), 1_206_323}},
		TopClients: []top{{"2001:db8::1", 635_123}, {"2001:db8::\x1b[2J", 557_725}},
		Backlog:    unstored{Keys: 4999, Flushes: 12, Oldest: 1210 * time.Millisecond}, Heap: 21 << 20,
		malformed: []*accesslog.LineError{{Line: 3, Text: "junk", Err: fs.ErrInvalid}},
	}
	r.Broken = r.broken()
	r.Kept = len(r.Broken) == 0
	return r
}

// TestStatReport: a fixed result's tables, word for word.
func TestStatReport(t *testing.T) {
	var b strings.Builder
	require.NoError(t, statAct{duration: 5 * time.Second, file: "/home/ada/my counts.db"}.announce(&b, &source{takers: make([]taker, 4)}))
	require.NoError(t, fixedStat().print(&b))
	golden(t, "stat", b.String())
}

func TestBrokenStatPromises(t *testing.T) {
	require.True(t, fixedStat().Kept)
	for says, breaks := range map[string]func(*statResult){
		"hits: / 200 is 4 in the file, and a plain count says 1,003": func(r *statResult) {
			r.Wrong, r.WrongSums = []wrongSum{{"hits", "/ 200", 4, 1003}}, 1
		},
		"and 7 other wrong sums": func(r *statResult) { r.WrongSums = 7 },
		"hits: what is in the file adds up to 21,888,501, and 21,888,500 were counted": func(r *statResult) { r.Rows[0].Sum++ },
		"clients: the file knows 52 flush IDs, and the buffer had 53 stored":           func(r *statResult) { r.Rows[1].Transactions-- },
		"clients: 2 were dropped":                            func(r *statResult) { r.Rows[1].Dropped = 2 },
		"of 60 whose answers were lost 1 did not come again": func(r *statResult) { r.Faults.Gone = 1 },
		"it does not close":                                  func(r *statResult) { r.Close = "it does not close" },
	} {
		r := fixedStat()
		breaks(&r)
		r.Broken, r.Kept = r.broken(), false
		require.Len(t, r.Broken, 1, says)
		assert.Equal(t, says, r.Broken[0])
		var b strings.Builder
		require.NoError(t, r.print(&b))
		assert.Contains(t, b.String(), "Penstock BROKE its promise: ")
		assert.Contains(t, b.String(), fmt.Sprintf("  %s\n", says))
	}
}
