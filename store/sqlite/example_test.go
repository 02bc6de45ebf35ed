package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// A flush that comes again, because nobody knows whether it was stored, is stored once.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "counts.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()

	views := store.Counts[string]{Table: "views", Keys: []string{"page"}}
	if err := sqlite.CreateTables(ctx, db, views); err != nil {
		panic(err)
	}
	sink, err := sqlite.New(ctx, db, views)
	if err != nil {
		panic(err)
	}
	flush := stat.Flush[string]{ID: "2026-01-01/1", Deltas: []stat.Delta[string]{{Key: "/", N: 3}, {Key: "/about", N: 1}}}
	fmt.Println(sink.Flush(ctx, flush))
	fmt.Println(sink.Flush(ctx, flush)) // the answer was lost, so it comes again

	var n int64
	_ = db.QueryRow("SELECT n FROM views WHERE page = '/'").Scan(&n)
	fmt.Println(n)
	// Output:
	// <nil>
	// <nil>
	// 3
}

// A key may have several columns, and a table may keep the largest count instead of the sum.
func ExampleNew_columns() {
	type load struct {
		Host string
		Day  time.Time
	}
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(filepath.Join(dir, "counts.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()

	peaks := store.Counts[load]{
		Table: "peaks", Keys: []string{"host", "day"}, Value: "connections", Merge: store.Max,
		Split: func(k load) []any { return []any{k.Host, k.Day.Format(time.DateOnly)} },
	}
	if err := sqlite.CreateTables(ctx, db, peaks); err != nil {
		panic(err)
	}
	sink, err := sqlite.New(ctx, db, peaks)
	if err != nil {
		panic(err)
	}
	key := load{"db1", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for id, n := range map[string]int64{"1": 40, "2": 90, "3": 70} {
		_ = sink.Flush(ctx, stat.Flush[load]{ID: id, Deltas: []stat.Delta[load]{{Key: key, N: n}}})
	}

	var day string
	var n int64
	_ = db.QueryRow("SELECT day, connections FROM peaks WHERE host = 'db1'").Scan(&day, &n)
	fmt.Println(day, n)
	// Output: 2026-01-01 90
}
