package batch_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Wallet is a resource: what operations change must be reachable through it.
type Wallet struct{ Balance int64 }

// A hundred callers change a wallet, each with an operation of its own: it is loaded once and saved once, and each of them returns
// when that is done. Operations run one after another and need no lock.
func ExampleProcessor_Run() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	database := map[string]int64{"ada": 500} // one key has one load or save at a time
	wallets, err := batch.NewProcessor(sys, "wallets", batch.Config[string, *Wallet]{
		MinDuration: time.Minute, MaxOperations: 100, // whichever comes first; by default a batch collects for 100 ms
		Load: func(_ context.Context, name string) (*Wallet, error) {
			fmt.Println("load", name)
			return &Wallet{database[name]}, nil
		},
		Save: func(_ context.Context, name string, w *Wallet) error {
			fmt.Println("save", name, w.Balance)
			database[name] = w.Balance
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			if err := wallets.Run(ctx, "ada", func(w *Wallet) { w.Balance += 5 }); err != nil {
				fmt.Println(err)
			}
		})
	}
	callers.Wait()
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// load ada
	// save ada 1000
}

// Hall is what is known of a concert's seats: who has which.
type Hall struct{ Seats []string }

var errSoldOut = errors.New("sold out")

// An operation that returns something, or an error that is its caller's alone: the others' seats are saved all the same. What was
// returned is true, for it comes after the save: nobody is told of a seat that somebody else has too.
func ExampleDo() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	halls, err := batch.NewProcessor(sys, "halls", batch.Config[string, *Hall]{
		MinDuration: batch.NoWait,
		Load:        func(context.Context, string) (*Hall, error) { return &Hall{Seats: []string{"", "ada", ""}}, nil },
		KeepLoaded:  time.Hour,
		Save:        func(context.Context, string, *Hall) error { return nil },
	})
	if err != nil {
		panic(err)
	}
	reserve := func(concert, customer string) (seat int, err error) {
		return batch.Do(ctx, halls, concert, func(h *Hall) (int, error) {
			i := slices.Index(h.Seats, "") // the first that is free
			if i < 0 {
				return 0, errSoldOut // nothing was changed
			}
			h.Seats[i] = customer
			return i + 1, nil
		})
	}
	for _, customer := range []string{"ben", "cem", "dot"} {
		seat, err := reserve("friday", customer)
		switch {
		case errors.Is(err, errSoldOut):
			fmt.Println(customer, "is too late")
		case err != nil:
			fmt.Println("ask again:", err) // the hall could not be loaded or saved
		default:
			fmt.Println(customer, "has seat", seat)
		}
	}
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ben has seat 1
	// cem has seat 3
	// dot is too late
}

// Cart is what somebody wants to buy.
type Cart struct{ Items map[string]int }

// A shopping cart is changed by one customer, several times in a minute. It stays in memory between batches, so it is loaded once;
// and three changes close a batch at once, so that nobody waits for a save that is worth its while already.
func ExampleConfig_shoppingCart() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	carts, err := batch.NewProcessor(sys, "carts", batch.Config[string, *Cart]{
		MinDuration: time.Minute, MaxOperations: 3,
		KeepLoaded: 30 * time.Minute, // this process alone writes carts; else a version must tell: see ErrConflict
		Load: func(_ context.Context, customer string) (*Cart, error) {
			fmt.Println("load", customer)
			return &Cart{Items: map[string]int{"book": 1}}, nil
		},
		Save: func(_ context.Context, customer string, c *Cart) error {
			fmt.Println("save", customer, c.Items)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	for _, clicks := range [][]string{{"pen", "ink", "pen"}, {"book", "ink", "pen"}} {
		var tabs sync.WaitGroup
		for _, item := range clicks {
			tabs.Go(func() {
				if err := carts.Run(ctx, "ada", func(c *Cart) { c.Items[item]++ }); err != nil {
					fmt.Println(err)
				}
			})
		}
		tabs.Wait()
	}
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// load ada
	// save ada map[book:1 ink:1 pen:2]
	// save ada map[book:2 ink:2 pen:3]
}

// Counter is a row with a version, which grows with each save.
type Counter struct{ N, Version int64 }

// Two processes count in the same row. Whoever saves a row that somebody else has saved since it was loaded is told so by the
// version: the batch loads it again and runs its operations again, and no count is lost. Package store has that for tables of any
// shape, with many rows in a transaction.
func ExampleErrConflict() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "penstock-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "counters.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER, version INTEGER); INSERT INTO counters VALUES ('visits', 0, 1)"); err != nil {
		panic(err)
	}

	load := func(ctx context.Context, name string) (*Counter, error) {
		c := new(Counter)
		return c, db.QueryRowContext(ctx, "SELECT n, version FROM counters WHERE name = ?", name).Scan(&c.N, &c.Version)
	}
	save := func(ctx context.Context, name string, c *Counter) error {
		const update = "UPDATE counters SET n = ?, version = version + 1 WHERE name = ? AND version = ? RETURNING version"
		err := db.QueryRowContext(ctx, update, c.N, name, c.Version).Scan(&c.Version)
		if errors.Is(err, sql.ErrNoRows) {
			return batch.ErrConflict
		}
		return err
	}
	process := func() (*penstock.System, *batch.Processor[string, *Counter]) {
		sys, err := penstock.New()
		if err != nil {
			panic(err)
		}
		counters, err := batch.NewProcessor(sys, "counters", batch.Config[string, *Counter]{
			MinDuration: batch.NoWait, KeepLoaded: time.Minute, Load: load, Save: save,
		})
		if err != nil {
			panic(err)
		}
		return sys, counters
	}

	here, first := process()
	there, second := process()
	for range 10 { // each has the row as it saved it, and the other has saved it since
		for _, counters := range []*batch.Processor[string, *Counter]{first, second} {
			if err := counters.Run(ctx, "visits", func(c *Counter) { c.N++ }); err != nil {
				fmt.Println(err)
			}
		}
	}
	fmt.Println("run again:", first.Info().Conflicts+second.Info().Conflicts)
	if err := errors.Join(here.Close(ctx), there.Close(ctx)); err != nil {
		fmt.Println(err)
	}
	var n int
	if err := db.QueryRow("SELECT n FROM counters").Scan(&n); err != nil {
		panic(err)
	}
	fmt.Println("visits:", n)
	// Output:
	// run again: 18
	// visits: 20
}

// Group commit: an operation that comes alone is saved at once, and those that come during a save are all in the next one. Here a
// hundred callers write lines of a log, and each returns when its line is on disk.
func ExampleNoWait() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	busy, done := make(chan struct{}, 2), make(chan struct{})
	logs, err := batch.NewProcessor(sys, "logs", batch.Config[string, *[]string]{
		MinDuration: batch.NoWait,
		Load:        func(context.Context, string) (*[]string, error) { return new([]string), nil },
		Save: func(_ context.Context, _ string, lines *[]string) error {
			busy <- struct{}{}
			<-done // the disk is busy with the first line until all others have come
			fmt.Println("sync", len(*lines))
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	write := func(line string) {
		if err := logs.Run(ctx, "audit.log", func(lines *[]string) { *lines = append(*lines, line) }); err != nil {
			fmt.Println(err)
		}
	}
	var callers sync.WaitGroup
	callers.Go(func() { write("first") })
	<-busy
	for i := range 99 {
		callers.Go(func() { write(fmt.Sprint("line ", i)) })
	}
	for logs.Info().Pending < 100 {
		runtime.Gosched()
	}
	close(done)
	callers.Wait()
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// sync 1
	// sync 99
}
