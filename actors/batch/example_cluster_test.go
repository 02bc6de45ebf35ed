package batch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Purse is a row: a balance, and what keeps two who change it from overwriting one another.
type Purse struct {
	Balance        int64
	Version, Epoch int64
	Tokens         string
}

var errTooLittle = errors.New("there is too little in it")

// Several processes change the same purses, through one file. Each purse is loaded and saved by one of them, its owner, and the others
// send it their operations. This is what each process does; here there is only one.
func ExampleRegister() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "purses")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "purses.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE purses (id TEXT PRIMARY KEY, balance INTEGER NOT NULL, version INTEGER NOT NULL,
		tokens TEXT NOT NULL, epoch INTEGER NOT NULL)`)
	if err != nil {
		panic(err)
	}
	leases, err := sqlite.NewLeases(ctx, db, store.LeaseTable{})
	if err != nil {
		panic(err)
	}
	rows, err := sqlite.NewResource(ctx, db, store.Resource[string, *Purse]{
		Select:  "SELECT balance, version, tokens, epoch FROM purses WHERE id = ?",
		Update:  "UPDATE purses SET balance = ?2, version = version + 1, tokens = ?4, epoch = ?5 WHERE id = ?1 AND version = ?3 RETURNING version",
		Insert:  "INSERT INTO purses (id, balance, version, tokens, epoch) VALUES (?, ?, 1, ?, ?) ON CONFLICT DO NOTHING RETURNING version",
		Scan:    func(p *Purse) []any { return []any{&p.Balance} },
		Version: func(p *Purse) *int64 { return &p.Version },
		Tokens:  func(p *Purse) *string { return &p.Tokens },
		Epoch:   func(p *Purse) *int64 { return &p.Epoch },
	})
	if err != nil {
		panic(err)
	}
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	defer sys.Close(ctx)
	if _, err := cluster.Join(ctx, sys, cluster.Config{Name: "worker-1", Bind: "127.0.0.1:0", Leases: leases}); err != nil {
		panic(err)
	}
	purses, err := batch.NewProcessor(sys, "purses", batch.Config[string, *Purse]{
		MinDuration: batch.NoWait, LoadMany: rows.LoadMany, SaveMany: rows.SaveMany, Clustered: true,
	})
	if err != nil {
		panic(err)
	}
	add, err := batch.Register(purses, "add", func(p *Purse, amount int64) (left int64, err error) {
		if p.Balance+amount < 0 {
			return p.Balance, errTooLittle
		}
		p.Balance += amount
		return p.Balance, nil
	})
	if err != nil {
		panic(err)
	}

	// At any node:
	fmt.Println(add.Do(ctx, "ada", 10))
	fmt.Println(add.Do(ctx, "ada", -3))
	_, err = add.Do(ctx, "ada", -8)
	fmt.Println(err)
	// Output:
	// 10 <nil>
	// 7 <nil>
	// there is too little in it
}
