package stat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
	"github.com/penstock-go/penstock/store/sqlite"
)

func TestMain(m *testing.M) {
	victim.Main(life.run)
	os.Exit(m.Run())
}

// life is what a process that is killed is told: what it counts into.
type life struct {
	File    string // SQLite's; empty: PostgreSQL
	Table   string
	Journal string // empty: none
	Round   int
	Finish  bool // it only flushes what the journal holds, and ends
	Node    *node
}

const (
	postgresURL = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
	workers     = 4
	keysEach    = 5
)

func (v life) counts() store.Counts[string] {
	return store.Counts[string]{Table: v.Table, Keys: []string{"key"}, Flushes: v.Table + "_flushes"}
}

// database is the sink, and how to ask for what it has stored.
type database struct {
	sink  stat.Sink[string]
	query func(ctx context.Context, sums map[string]int64) error
	drop  func() error
}

func (v life) open(ctx context.Context, create bool) (d database, err error) {
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
			if err != nil {
				return err
			}
			defer rows.Close()
			return read(rows, sums)
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
		return read(rows, sums)
	}
	d.drop = func() error {
		_, err := pool.Exec(ctx, "DROP TABLE "+v.Table+", "+v.Table+"_flushes")
		pool.Close()
		return err
	}
	d.sink, err = postgres.New(ctx, pool, v.counts())
	return d, err
}

// read reads what is stored, from either database.
func read(rows interface {
	Next() bool
	Scan(...any) error
	Err() error
}, sums map[string]int64) error {
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
func (v life) run() error {
	if v.Node != nil {
		return v.Node.run()
	}
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
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := 0; ; i++ {
				if v.Journal != "" {
					key := fmt.Sprint(w, "/", i%keysEach)
					victim.Say("!", key)
					victim.Must(b.IncrementDurable(ctx, key, 1))
					victim.Say("+", key)
					continue
				}
				// A generation of keys is of one round and is not counted on after it was flushed: what is lost of it is no
				// cover for what is stored twice of another.
				prefix := fmt.Sprint(v.Round, "/", w, "/", i/50, "/")
				key := prefix + strconv.Itoa(i%keysEach)
				victim.Say("!", key)
				victim.Must(b.Increment(key, 1))
				if i%50 == 49 {
					victim.Must(b.FlushAll(ctx))
					victim.Say("=", prefix)
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
	v := life{Table: fmt.Sprintf("kill_%016x", rand.Uint64())}
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
func (v life) until(t *testing.T, promises int, tried, promised map[string]int64) {
	child := victim.Start(t, v)
	seen := 0
	for line := range child.Lines() {
		switch what, key := line[:1], line[1:]; what {
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
			child.Kill()
		}
	}
	child.Wait()
}
