package batch_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store/sqlite"
)

func TestMain(m *testing.M) {
	victim.Main(life.run)
	os.Exit(m.Run())
}

// life is what a process that is killed is told: it runs operations on accounts in a file until its save of this number, in which it
// stops and says so.
type life struct {
	File  string
	Round int
	Save  int64
	After bool   // it stops after the commit, before the answer; else before the commit
	Keep  bool   // accounts are kept between batches
	Node  string // it is a node of a cluster instead: see member
}

// account is a resource: how many operations it has seen, and the IDs of those that are not saved yet.
type account struct {
	n   int
	ids []string
}

const schema = `CREATE TABLE accounts (key TEXT PRIMARY KEY, n INTEGER NOT NULL); CREATE TABLE operations (key TEXT NOT NULL, id TEXT NOT NULL)`

func (v life) run() error {
	if v.Node != "" {
		return v.member()
	}
	db, err := sqlite.Open(v.File)
	if err != nil {
		return err
	}
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	cfg := batch.Config[string, *account]{
		MinDuration: time.Millisecond, MaxDuration: time.Hour,
		Load: func(ctx context.Context, key string) (*account, error) {
			a := new(account)
			err := db.QueryRowContext(ctx, "SELECT n FROM accounts WHERE key = ?", key).Scan(&a.n)
			if err == sql.ErrNoRows {
				err = nil
			}
			return a, err
		},
	}
	if v.Keep {
		cfg.KeepLoaded = time.Hour
	}
	var saves atomic.Int64
	cfg.Save = func(ctx context.Context, key string, a *account) error {
		last := saves.Add(1) == v.Save
		stop := func() {
			victim.Say("~", "")
			select {}
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "INSERT INTO accounts VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET n = excluded.n", key, a.n); err != nil {
			return err
		}
		for _, id := range a.ids {
			if _, err := tx.ExecContext(ctx, "INSERT INTO operations VALUES (?, ?)", key, id); err != nil {
				return err
			}
		}
		if last && !v.After {
			stop()
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		if last {
			stop()
		}
		a.ids = nil
		return nil
	}
	p, err := batch.NewProcessor(sys, "killed", cfg)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(v.Round, "/", w, "/", i)
				victim.Say("!", id) // it is about to run it
				victim.Must(p.Run(context.Background(), strconv.Itoa(i%3), func(a *account) {
					a.n++
					a.ids = append(a.ids, id)
				}))
				victim.Say("+", id)
			}
		})
	}
	wg.Wait()
	return nil
}

// TestG9_KillNineInMidSave kills a process again and again while it saves.
func TestG9_KillNineInMidSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts.db")
	db, err := sqlite.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(schema)
	require.NoError(t, err)
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	tried, answered := make(map[string]bool), make(map[string]bool)
	for round := range rounds {
		v := life{File: file, Round: round, Save: 1 + rand.Int64N(40), After: round%2 == 1, Keep: round%4 >= 2}
		v.kill(t, tried, answered)
		requireLedger(t, db, tried, answered)
	}
	t.Logf("%d rounds: %d operations begun, %d answered", rounds, len(tried), len(answered))
}

// requireLedger fails the test unless every answered operation is in the database, and no operation is there twice.
func requireLedger(t *testing.T, db *sql.DB, tried, answered map[string]bool) {
	rows, err := db.Query("SELECT id, count(*) FROM operations GROUP BY id")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	stored := make(map[string]bool)
	for rows.Next() {
		var id string
		var n int
		require.NoError(t, rows.Scan(&id, &n))
		require.Equal(t, 1, n, "%s is stored twice", id)
		require.True(t, tried[id], "%s is stored, and nobody has run it", id)
		stored[id] = true
	}
	require.NoError(t, rows.Err())
	for id := range answered {
		require.True(t, stored[id], "%s was answered and is lost", id)
	}
	var wrong int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM accounts a WHERE n <> (SELECT count(*) FROM operations o WHERE o.key = a.key)").Scan(&wrong))
	require.Zero(t, wrong, "accounts that do not hold what their operations did")
}

// kill runs the victim until it stops in a save, and kills it.
func (v life) kill(t *testing.T, tried, answered map[string]bool) {
	child := victim.Start(t, v)
	for line := range child.Lines() {
		switch what, id := line[:1], line[1:]; what {
		case "!":
			tried[id] = true
		case "+":
			answered[id] = true
		case "~":
			child.Kill()
		}
	}
	require.True(t, child.Killed(), "it ended by itself")
	child.Wait()
}
