package main

import (
	"context"
	"database/sql"
	"errors"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// The tables of the file. A key that has two parts has two columns.
var (
	hitCounts = store.Counts[hit]{
		Table: "hits", Keys: []string{"path", "status"},
		Split: func(h hit) []any { return []any{h.path, h.status} },
	}
	clientCounts = store.Counts[string]{Table: "clients", Keys: []string{"client"}}
)

const (
	topPaths   = "SELECT path, sum(n) AS n FROM hits GROUP BY path ORDER BY n DESC, path LIMIT 10"
	topClients = "SELECT client, n FROM clients ORDER BY n DESC, client LIMIT 10"
)

// countsFile is the SQLite file that is counted into.
type countsFile struct {
	db      *sql.DB
	hits    stat.Sink[hit]
	clients stat.Sink[string]
}

func openCounts(ctx context.Context, file string) (f *countsFile, err error) {
	f = new(countsFile)
	if f.db, err = sqlite.Open(file); err != nil {
		return nil, err
	}
	err = errors.Join(sqlite.CreateTables(ctx, f.db, hitCounts), sqlite.CreateTables(ctx, f.db, clientCounts))
	if err == nil {
		f.hits, err = sqlite.New(ctx, f.db, hitCounts)
	}
	if err == nil {
		f.clients, err = sqlite.New(ctx, f.db, clientCounts)
	}
	if err != nil {
		return nil, errors.Join(err, f.db.Close())
	}
	return f, nil
}

func (f *countsFile) close() error {
	if f == nil {
		return nil
	}
	return f.db.Close()
}

// top is one of the most frequent.
type top struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

func (f *countsFile) top(ctx context.Context, query string) (list []top, err error) {
	err = f.each(ctx, query, func(scan func(...any) error) error {
		var t top
		err := scan(&t.Name, &t.N)
		list = append(list, t)
		return err
	})
	return list, err
}

// sums are all counts in the file.
func (f *countsFile) sums(ctx context.Context) (*plainCount, error) {
	got := newPlainCount()
	err := f.each(ctx, "SELECT path, status, n FROM hits", func(scan func(...any) error) error {
		var h hit
		var n int64
		err := scan(&h.path, &h.status, &n)
		got.hits[h] = n
		return err
	})
	return got, errors.Join(err, f.each(ctx, "SELECT client, n FROM clients", func(scan func(...any) error) error {
		var client string
		var n int64
		err := scan(&client, &n)
		got.clients[client] = n
		return err
	}))
}

// transactions is how many flushes were stored for a table, by the IDs that are stored with them.
func (f *countsFile) transactions(ctx context.Context, table string) (n int, err error) {
	err = f.db.QueryRowContext(ctx, "SELECT count(*) FROM penstock_flushes WHERE counts = ?", table+".n").Scan(&n)
	return n, err
}

// each gives every row of a query to fn.
func (f *countsFile) each(ctx context.Context, query string, fn func(scan func(...any) error) error) error {
	rows, err := f.db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
