package sqlite

import (
	"fmt"
	"strings"

	"github.com/penstock-go/penstock/store"
)

const (
	// maxRows is how many rows a statement writes. With 10 to 500 a thousand rows take about half of the time they take one
	// by one.
	maxRows = 100
	// maxArguments is how many arguments a statement has at most; SQLite takes 32,766, and took 999 before.
	maxArguments = 999
	// pruneEvery is how many flushes come to one that deletes old IDs, and pruneMost how many it deletes: four times as many as
	// have come since, so that they do not pile up.
	pruneEvery = 64
	pruneMost  = 256
)

// statements are those of a flush.
type statements struct {
	remember string // the ID; it changes no row if the ID is there
	prune    string
	rows     int    // how many rows many writes
	many     string // writes that many
	head     string // of an upsert
	row      string
	tail     string
}

// newStatements writes them. Now is the expression that gives the time for the column Updated.
func newStatements[K comparable](l *store.Layout[K], now string) statements {
	columns, row := store.QuoteAll(l.Columns()), strings.Repeat("?, ", len(l.Keys))+"?"
	if l.Updated != "" {
		columns, row = columns+", "+store.Quote(l.Updated), row+", "+now
	}
	flushes := l.Flushes.SQL()
	s := statements{
		remember: fmt.Sprintf("INSERT INTO %s (id, counts, at) VALUES (?, ?, unixepoch()) ON CONFLICT (id, counts) DO NOTHING", flushes),
		prune: fmt.Sprintf("DELETE FROM %s WHERE (id, counts) IN (SELECT id, counts FROM %[1]s WHERE at < unixepoch() - ? ORDER BY at LIMIT ?)",
			flushes),
		rows: min(maxRows, maxArguments/(len(l.Keys)+1)),
		head: fmt.Sprintf("INSERT INTO %s AS c (%s) VALUES ", l.Table.SQL(), columns),
		row:  "(" + row + ")",
		tail: l.OnConflict(now),
	}
	s.many = s.upsert(s.rows)
	return s
}

// upsert is the statement that writes n rows.
func (s *statements) upsert(n int) string {
	return s.head + strings.Repeat(s.row+", ", n-1) + s.row + s.tail
}
