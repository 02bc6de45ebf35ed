package stat_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
	"github.com/penstock-go/penstock/store/sqlite"
)

// killMe is the environment variable that makes this test's binary the process that is killed: it holds a victim as JSON.
const killMe = "PENSTOCK_STAT_KILL"

func TestMain(m *testing.M) {
	if spec := os.Getenv(killMe); spec != "" {
		var v victim
		exitOn(json.Unmarshal([]byte(spec), &v))
		exitOn(v.run())
		return
	}
	os.Exit(m.Run())
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim is the process that is killed, and what it counts into.
type victim struct {
	File    string // SQLite's; empty: PostgreSQL
	Table   string
	Journal string // empty: none
	Round   int
	Finish  bool // it only flushes what the journal holds, and ends
}

const (
	postgresURL = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
	workers     = 4
	keysEach    = 5
)

func (v victim) counts() store.Counts[string] {
	return store.Counts[string]{Table: v.Table, Keys: []string{"key"}, Flushes: v.Table + "_flushes"}
}

// database is the sink, and how to ask for what it has stored.
type database struct {
	sink  stat.Sink[string]
	query func(ctx context.Context, sums map[string]int64) error
	drop  func() error
}

func (v victim) open(ctx context.Context, create bool) (d database, err error) {
	query := "SELECT key, n FROM " + v.Table
	if v.File != "" {
		db, err := sqlite.Open(v.File)
		if err != nil {
			return d, err
		}
		if create {
			if err := sqlite.CreateTables(ctx, db, v.counts()); err != nil {
				return d, err
			}
		}
		d.query = func(ctx context.Context, sums map[string]int64) error {
			rows, err := db.QueryContext(ctx, query)
			return read(rows, err, sums)
		}
		d.drop = db.Close
		d.sink, err = sqlite.New(ctx, db, v.counts())
		return d, err
	}
	pool, err := pgxpool.New(ctx, postgresURL)
	if err != nil {
		return d, err
	}
	if create {
		if err := postgres.CreateTables(ctx, pool, v.counts()); err != nil {
			return d, err
		}
	}
	d.query = func(ctx context.Context, sums map[string]int64) error {
		rows, err := pool.Query(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key string
			var n int64
			if err := rows.Scan(&key, &n); err != nil {
				return err
			}
			sums[key] = n
		}
		return rows.Err()
	}
	d.drop = func() error {
		_, err := pool.Exec(ctx, "DROP TABLE "+v.Table+", "+v.Table+"_flushes")
		pool.Close()
		return err
	}
	d.sink, err = postgres.New(ctx, pool, v.counts())
	return d, err
}

func read(rows *sql.Rows, err error, sums map[string]int64) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var n int64
		if err := rows.Scan(&key, &n); err != nil {
			return err
		}
		sums[key] = n
	}
	return rows.Err()
}

// run counts as fast as it can, for ever. It says what it is about to count, "!key", and what it was promised: "+key" that it
// is durable, "=prefix" that all with this prefix is stored.
func (v victim) run() error {
	ctx := context.Background()
	d, err := v.open(ctx, false)
	if err != nil {
		return err
	}
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	b, err := stat.NewBuffer(sys, "killed", stat.Config[string]{
		Sink: d.sink, Interval: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, MaxBatch: 7, Journal: stat.Journal[string]{Path: v.Journal},
	})
	if err != nil {
		return err
	}
	if v.Finish {
		return sys.Close(ctx)
	}
	var mu sync.Mutex
	say := func(what, key string) {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintf(os.Stdout, "%s%s\n", what, key)
		exitOn(err)
	}
	say("ready", "")
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := 0; ; i++ {
				if v.Journal != "" {
					key := fmt.Sprint(w, "/", i%keysEach)
					say("!", key)
					exitOn(b.IncrementDurable(ctx, key, 1))
					say("+", key)
					continue
				}
				// A generation of keys is of one round and is not counted on after it was flushed: what is lost of it is no
				// cover for what is stored twice of another.
				prefix := fmt.Sprint(v.Round, "/", w, "/", i/50, "/")
				key := prefix + strconv.Itoa(i%keysEach)
				say("!", key)
				exitOn(b.Increment(key, 1))
				if i%50 == 49 {
					exitOn(b.FlushAll(ctx))
					say("=", prefix)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func TestG8_KillNineSQLite(t *testing.T)        { killNine(t, false, false) }
func TestG8_KillNineSQLiteJournal(t *testing.T) { killNine(t, false, true) }

func TestG8_KillNinePostgreSQL(t *testing.T)        { killNine(t, true, false) }
func TestG8_KillNinePostgreSQLJournal(t *testing.T) { killNine(t, true, true) }

// killNine kills a process that counts, again and again, and compares what is stored with what it was promised.
func killNine(t *testing.T, server, journal bool) {
	ctx := context.Background()
	v := victim{Table: fmt.Sprintf("kill_%016x", rand.Uint64())}
	if server {
		pool, err := pgxpool.New(ctx, postgresURL)
		require.NoError(t, err)
		defer pool.Close()
		if err := pool.Ping(ctx); err != nil {
			t.Skip("needs a server: PostgreSQL at localhost:5432")
		}
	} else {
		v.File = filepath.Join(t.TempDir(), "counts.db")
	}
	if journal {
		v.Journal = filepath.Join(t.TempDir(), "journal")
	}
	d, err := v.open(ctx, true)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.drop()) })

	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	tried, promised := make(map[string]int64), make(map[string]int64)
	for round := range rounds {
		v.Round = round
		v.until(t, 1+rand.IntN(300), tried, promised)
	}
	v.Finish = true
	v.until(t, 0, tried, promised)
	sums := make(map[string]int64)
	require.NoError(t, d.query(ctx, sums))
	var total, all, sure int64
	for key, n := range tried {
		require.GreaterOrEqual(t, sums[key], promised[key], "%s: lost", key)
		require.LessOrEqual(t, sums[key], n, "%s: stored twice", key)
		total, all, sure = total+sums[key], all+n, sure+promised[key]
		delete(sums, key)
	}
	require.Empty(t, sums, "stored, and never counted")
	t.Logf("%d rounds: %d increments begun, %d promised, %d stored", rounds, all, sure, total)
}

// until runs the victim until it was promised as much as that, and then kills it; with 0, until it ends.
func (v victim) until(t *testing.T, promises int, tried, promised map[string]int64) {
	spec, err := json.Marshal(v)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killMe+"="+string(spec))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); {
		what, key := lines.Text()[:1], lines.Text()[1:]
		switch what {
		case "!":
			tried[key]++
		case "+":
			promised[key]++
			seen++
		case "=":
			for k, n := range tried {
				if strings.HasPrefix(k, key) {
					promised[k] = n
				}
			}
			seen += 50
		}
		if promises > 0 && seen >= promises {
			_ = cmd.Process.Signal(syscall.SIGKILL)
			promises = 0
		}
	}
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	if v.Finish {
		require.NoError(t, err)
	}
}
