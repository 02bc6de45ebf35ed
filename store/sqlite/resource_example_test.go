package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Wallet is a row: a balance, and what keeps two who change it from overwriting one another.
type Wallet struct {
	Balance int64
	Version int64
	Tokens  string
}

// Two load a wallet, and the second to save it has to load it again.
func ExampleNewResource() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "wallets.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	_, err = db.Exec("CREATE TABLE wallets (id TEXT PRIMARY KEY, balance INTEGER NOT NULL, version INTEGER NOT NULL, tokens TEXT NOT NULL)")
	if err != nil {
		panic(err)
	}

	wallets, err := sqlite.NewResource(ctx, db, store.Resource[string, *Wallet]{
		Select:  "SELECT balance, version, tokens FROM wallets WHERE id = ?",
		Update:  "UPDATE wallets SET balance = ?2, version = version + 1, tokens = ?4 WHERE id = ?1 AND version = ?3 RETURNING version",
		Insert:  "INSERT INTO wallets (id, balance, version, tokens) VALUES (?, ?, 1, ?) ON CONFLICT DO NOTHING RETURNING version",
		Scan:    func(w *Wallet) []any { return []any{&w.Balance} },
		Version: func(w *Wallet) *int64 { return &w.Version },
		Tokens:  func(w *Wallet) *string { return &w.Tokens },
	})
	if err != nil {
		panic(err)
	}
	// A processor does what follows by itself:
	//	batch.NewProcessor(sys, "wallets", batch.Config[string, *Wallet]{LoadMany: wallets.LoadMany, SaveMany: wallets.SaveMany})
	hers, _ := wallets.Load(ctx, "family")
	his, _ := wallets.Load(ctx, "family")
	hers.Balance += 100
	his.Balance -= 30
	fmt.Println(wallets.Save(ctx, "family", hers))
	fmt.Println(errors.Is(wallets.Save(ctx, "family", his), batch.ErrConflict))

	his, _ = wallets.Load(ctx, "family")
	his.Balance -= 30
	fmt.Println(wallets.Save(ctx, "family", his), his.Balance)
	// Output:
	// <nil>
	// true
	// <nil> 70
}
