package stat_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/postgres"
	"github.com/penstock-go/penstock/store/sqlite"
)

// A thousand increments become one call.
func ExampleBuffer() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	store := func(_ context.Context, page string, n int64) error {
		fmt.Println(page, n)
		return nil
	}
	views, err := stat.NewBuffer(sys, "views", stat.Config[string]{Sink: stat.FlushFunc[string](store)})
	if err != nil {
		panic(err)
	}
	for range 1000 {
		if err := views.Increment("/", 1); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(views.Count("/")) // is in memory, and would be stored after 5 s
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(views.Count("/"))
	// Output:
	// 1000 true
	// / 1000
	// 0 false
}

// A web server counts its pages' views into PostgreSQL. However many there are, a page's row is written once in 10 s.
func Example_pageViews() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pool, err := pgxpool.New(ctx, "postgres://localhost/shop")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	table := store.Counts[string]{Table: "page_views", Keys: []string{"page"}, Updated: "updated_at"}
	if err := postgres.CreateTables(ctx, pool, table); err != nil {
		log.Fatal(err)
	}
	sink, err := postgres.New(ctx, pool, table)
	if err != nil {
		log.Fatal(err)
	}

	sys, err := penstock.New()
	if err != nil {
		log.Fatal(err)
	}
	views, err := stat.NewBuffer(sys, "page views", stat.Config[string]{
		Sink: sink, Interval: 10 * time.Second, Jitter: 2 * time.Second,
		MaxKeys: 100_000, Overflow: new("(other)"), // whoever asks for a million pages does not fill the memory with them
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := views.Increment(r.URL.Path, 1); err != nil {
			sys.Logger().Warn("a view was not counted", "err", err)
		}
		fmt.Fprintln(w, "welcome")
	})}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	// First the server, then the counts that it made, then the database that they go to.
	ctx, stop = context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer stop()
	if err := errors.Join(err, server.Shutdown(ctx), sys.Close(ctx)); err != nil {
		log.Print(err)
	}
}

// account is whose API calls are counted, and for which bill.
type account struct{ Customer, Month string }

// What is counted for money must survive kill −9. IncrementDurable returns when the call is in the journal, on disk. Here the
// database is away, so the process ends before the calls are stored; the next one stores them, and none twice.
func ExampleBuffer_IncrementDurable() {
	ctx := context.Background()
	dir, db := temporary()
	defer os.RemoveAll(dir)
	defer db.Close()
	usage := store.Counts[account]{
		Table: "usage", Keys: []string{"customer", "month"}, Value: "calls",
		Split: func(a account) []any { return []any{a.Customer, a.Month} },
	}
	if err := sqlite.CreateTables(ctx, db, usage); err != nil {
		panic(err)
	}
	sink, err := sqlite.New(ctx, db, usage)
	if err != nil {
		panic(err)
	}
	start := func(sink stat.Sink[account]) (*penstock.System, *stat.Buffer[account]) {
		sys, err := penstock.New()
		if err != nil {
			panic(err)
		}
		calls, err := stat.NewBuffer(sys, "api calls", stat.Config[account]{
			Sink: sink, Interval: time.Minute, Journal: stat.Journal[account]{Path: filepath.Join(dir, "api-calls.journal")},
		})
		if err != nil {
			panic(err)
		}
		return sys, calls
	}

	sys, calls := start(away{})
	for range 3 {
		if err := calls.IncrementDurable(ctx, account{"ada", "2026-05"}, 1); err != nil {
			fmt.Println(err) // do not answer the call: it was not counted
		}
	}
	ended, end := context.WithCancel(ctx)
	end()
	var left *stat.NotStoredError
	if errors.As(sys.Close(ended), &left) {
		fmt.Println("customers whose calls are in the journal:", left.Keys)
	}

	sys, calls = start(sink) // the next process
	fmt.Println(calls.Count(account{"ada", "2026-05"}))
	if err := sys.Close(ctx); err != nil {
		panic(err)
	}
	show(db, "SELECT customer || ' ' || month, calls FROM usage")
	// Output:
	// customers whose calls are in the journal: 1
	// 3 true
	// ada 2026-05: 3
}

// away is a database that cannot be reached.
type away struct{}

func (away) Flush(context.Context, stat.Flush[account]) error {
	return errors.New("connection refused")
}

// When somebody was seen is a value of which only the last one counts.
func ExampleLast() {
	ctx := context.Background()
	dir, db := temporary()
	defer os.RemoveAll(dir)
	defer db.Close()
	table := store.Counts[string]{Table: "users", Keys: []string{"name"}, Value: "seen_at", Merge: store.Last}
	if err := sqlite.CreateTables(ctx, db, table); err != nil {
		panic(err)
	}
	sink, err := sqlite.New(ctx, db, table)
	if err != nil {
		panic(err)
	}
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	seen, err := stat.NewLast(sys, "last seen", stat.Config[string]{Sink: sink, Interval: time.Minute})
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 5, 17, 10, 0, 0, 0, time.UTC)
	for minute := range 30 { // every request says so; the row is written once
		if err := seen.Set("ada", at.Add(time.Duration(minute)*time.Minute).Unix()); err != nil {
			fmt.Println(err)
		}
	}
	if err := sys.Close(ctx); err != nil {
		panic(err)
	}
	var last string
	if err := db.QueryRow("SELECT name || ' ' || datetime(seen_at, 'unixepoch') FROM users").Scan(&last); err != nil {
		panic(err)
	}
	fmt.Println(last)
	// Output: ada 2026-05-17 10:29:00
}

// Percentiles cannot be added up, but the bins of histograms can: those of all processes and all times are in one table, and
// SQL finds the percentile of any part of it.
func ExampleHistogram() {
	ctx := context.Background()
	dir, db := temporary()
	defer os.RemoveAll(dir)
	defer db.Close()
	table := store.Counts[stat.Bin[string]]{
		Table: "latencies", Keys: []string{"route", "low", "high"},
		Split: func(b stat.Bin[string]) []any { return []any{b.Key, b.From, b.To} },
	}
	if err := sqlite.CreateTables(ctx, db, table); err != nil {
		panic(err)
	}
	sink, err := sqlite.New(ctx, db, table)
	if err != nil {
		panic(err)
	}
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	microseconds := stat.Scale{Highest: time.Minute.Microseconds()} // two digits are kept
	latencies, err := stat.NewHistogram(sys, "latencies", microseconds, stat.Config[stat.Bin[string]]{Sink: sink})
	if err != nil {
		panic(err)
	}
	for i := range 10_000 {
		took := time.Duration(i+1) * 10 * time.Microsecond // up to 100 ms
		if err := latencies.Record("GET /cart", took.Microseconds()); err != nil {
			fmt.Println(err)
		}
	}
	if err := sys.Close(ctx); err != nil {
		panic(err)
	}

	const percentile = `SELECT min(high) FROM (
		SELECT high, sum(n) OVER (ORDER BY high) AS upto, sum(n) OVER () AS total FROM latencies WHERE route = ?
	) WHERE upto >= ? * total`
	for _, p := range []float64{0.50, 0.99} {
		var µs int64
		if err := db.QueryRow(percentile, "GET /cart", p).Scan(&µs); err != nil {
			panic(err)
		}
		fmt.Printf("p%.0f: %v\n", 100*p, (time.Duration(µs) * time.Microsecond).Round(time.Millisecond))
	}
	// Output:
	// p50: 50ms
	// p99: 99ms
}

// A key that all processors count at once is counted on as many words, so that they do not wait for one another.
func ExampleBuffer_Counter() {
	ctx := context.Background()
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	requests, err := stat.NewBuffer(sys, "requests", stat.Config[string]{
		Sink: stat.FlushFunc[string](func(_ context.Context, key string, n int64) error {
			fmt.Println(key, n)
			return nil
		}),
	})
	if err != nil {
		panic(err)
	}
	all := requests.Counter("all") // keep it
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 1000 {
				if err := all.Add(1); err != nil {
					fmt.Println(err)
				}
			}
		})
	}
	workers.Wait()
	if err := requests.Flush(ctx, "all"); err != nil {
		fmt.Println(err)
	}
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: all 8000
}

// A function of your own stores a key at a time. Here the answer of the first call is lost, so it is called again; by the ID
// it knows that it has stored that already.
func ExampleFlushFunc() {
	ctx := context.Background()
	stored, done := make(map[string]int64), make(map[string]bool) // one database, which changes both in one transaction
	sink := stat.FlushFunc[string](func(ctx context.Context, user string, n int64) error {
		id := stat.FlushID(ctx)
		if done[id] {
			fmt.Println("again")
			return nil
		}
		stored[user] += n
		done[id] = true
		return errors.New("the connection broke after COMMIT")
	})
	sys, err := penstock.New()
	if err != nil {
		panic(err)
	}
	points, err := stat.NewBuffer(sys, "points", stat.Config[string]{Sink: sink, MaxFlushes: 1, Backoff: time.Millisecond})
	if err != nil {
		panic(err)
	}
	if err := errors.Join(points.Increment("ada", 5), points.Increment("ada", -2)); err != nil {
		fmt.Println(err)
	}
	if err := points.Flush(ctx, "ada"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(stored)
	if err := sys.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// again
	// map[ada:3]
}

// temporary makes a directory and a database in it.
func temporary() (dir string, db *sql.DB) {
	dir, err := os.MkdirTemp("", "penstock-example-")
	if err != nil {
		panic(err)
	}
	if db, err = sqlite.Open(filepath.Join(dir, "counts.db")); err != nil {
		panic(err)
	}
	return dir, db
}

// show prints what a query finds.
func show(db *sql.DB, query string) {
	rows, err := db.Query(query)
	if err != nil {
		panic(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var n int64
		if err := rows.Scan(&key, &n); err != nil {
			panic(err)
		}
		fmt.Printf("%s: %d\n", key, n)
	}
	if err := rows.Err(); err != nil {
		panic(err)
	}
}
