package batch_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/victim"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

const (
	processKeys    = 4
	processCallers = 6

	balances = `CREATE TABLE balances (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, version INTEGER NOT NULL, tokens TEXT NOT NULL, epoch INTEGER NOT NULL)`
)

// balance is a row of the test.
type balance struct {
	Amount, Version, Epoch int64
	Tokens                 string
}

// openBalances is the resource that all processes use.
func openBalances(ctx context.Context, db *sql.DB) (*sqlite.Resource[int, *balance], error) {
	return sqlite.NewResource(ctx, db, store.Resource[int, *balance]{
		Select:  "SELECT amount, version, tokens, epoch FROM balances WHERE id = $1",
		Update:  "UPDATE balances SET amount = $2, version = version + 1, tokens = $4, epoch = $5 WHERE id = $1 AND version = $3 RETURNING version",
		Insert:  "INSERT INTO balances (id, amount, version, tokens, epoch) VALUES ($1, $2, 1, $3, $4) ON CONFLICT DO NOTHING RETURNING version",
		Scan:    func(b *balance) []any { return []any{&b.Amount} },
		Version: func(b *balance) *int64 { return &b.Version },
		Tokens:  func(b *balance) *string { return &b.Tokens },
		Epoch:   func(b *balance) *int64 { return &b.Epoch },
	})
}

// member joins the others, and keeps callers busy. It says of each operation that it begins, and how it has ended.
func (v life) member() error {
	ctx := context.Background()
	db, err := sqlite.Open(v.File)
	if err != nil {
		return err
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		return err
	}
	rows, err := openBalances(ctx, db)
	if err != nil {
		return err
	}
	sys, err := penstock.New()
	if err != nil {
		return err
	}
	if _, err := cluster.Join(ctx, sys, cluster.Config{Name: v.Node, Bind: "127.0.0.1:0", Leases: leases, Lease: time.Second, Shards: 8}); err != nil {
		return err
	}
	p, err := batch.NewProcessor(sys, "balances", batch.Config[int, *balance]{
		MinDuration: batch.NoWait, KeepLoaded: time.Hour, LoadMany: rows.LoadMany, SaveMany: rows.SaveMany, Clustered: true,
	})
	if err != nil {
		return err
	}
	add, err := batch.Register(p, "add", func(b *balance, n int64) (int64, error) {
		b.Amount += n
		return b.Amount, nil
	})
	if err != nil {
		return err
	}
	var callers sync.WaitGroup
	for c := range processCallers {
		callers.Go(func() {
			for i := c; ; i++ {
				key := i % processKeys
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				victim.Say("try", fmt.Sprint(" ", key))
				_, err := add.Do(ctx, key, 1)
				cancel()
				switch {
				case err == nil:
					victim.Say("done", fmt.Sprint(" ", key))
				case errors.Is(err, cluster.ErrUnknown):
					victim.Say("unknown", fmt.Sprint(" ", key))
				default:
					victim.Say("not", fmt.Sprint(" ", key))
				}
			}
		})
	}
	callers.Wait()
	return nil
}

// book is what all processes have said: how often, by node, key and word.
type book struct {
	mu    sync.Mutex
	said  map[string]int
	moved chan struct{}
}

func entry(node string, key int, word string) string { return fmt.Sprint(node, " ", key, " ", word) }

func (b *book) listen(name string, p *victim.Process) {
	for line := range p.Lines() {
		var word string
		var key int
		if _, err := fmt.Sscanf(line, "%s %d", &word, &key); err != nil {
			continue
		}
		b.mu.Lock()
		b.said[entry(name, key, word)]++
		b.said[entry("", key, word)]++
		b.mu.Unlock()
		select {
		case b.moved <- struct{}{}:
		default:
		}
	}
}

// await waits until each of these nodes has had some more operations done on each key.
func (b *book) await(t *testing.T, nodes ...string) {
	const more = 5
	goal := make(map[string]int)
	b.mu.Lock()
	for _, node := range nodes {
		for key := range processKeys {
			e := entry(node, key, "done")
			goal[e] = b.said[e] + more
		}
	}
	b.mu.Unlock()
	deadline := time.After(90 * time.Second)
	for {
		b.mu.Lock()
		for e, n := range goal {
			if b.said[e] >= n {
				delete(goal, e)
			}
		}
		b.mu.Unlock()
		if len(goal) == 0 {
			return
		}
		select {
		case <-b.moved:
		case <-deadline:
			require.Empty(t, goal, "what does not go on")
		}
	}
}

// TestG11_ProcessesBatchOnce has three nodes of which one after the other is killed and comes back. What was acknowledged is stored, and
// nothing is stored that was not acknowledged or left open.
func TestG11_ProcessesBatchOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "balances.db")
	db, err := sqlite.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.Exec(balances)
	require.NoError(t, err)

	b := &book{said: make(map[string]int), moved: make(chan struct{}, 1)}
	var listening sync.WaitGroup
	nodes := make(map[string]*victim.Process)
	start := func(name string) {
		p := victim.Start(t, life{File: file, Node: name})
		nodes[name] = p
		listening.Go(func() { b.listen(name, p) })
	}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		start(name)
	}
	b.await(t, names...)
	kills := names
	if testing.Short() {
		kills = names[:1]
	}
	for _, name := range kills {
		nodes[name].Kill()
		b.await(t, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })...)
		start(name)
		b.await(t, names...)
	}
	for _, p := range nodes {
		p.Kill()
	}
	listening.Wait()

	rows, err := openBalances(t.Context(), db)
	require.NoError(t, err)
	for key := range processKeys {
		row, err := rows.Load(t.Context(), key)
		require.NoError(t, err)
		done, open := b.said[entry("", key, "done")], b.said[entry("", key, "try")]-b.said[entry("", key, "not")]
		t.Logf("key %d: %d stored under epochs up to %d; of %d operations %d were done, %d refused", key, row.Amount, row.Epoch,
			b.said[entry("", key, "try")], done, b.said[entry("", key, "not")])
		require.GreaterOrEqual(t, row.Amount, int64(done), "something that was acknowledged is lost")
		require.LessOrEqual(t, row.Amount, int64(open), "something was stored twice, or was said not to be stored")
	}
}
