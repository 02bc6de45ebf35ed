package postgres

import (
	"fmt"
	"strings"

	"github.com/penstock-go/penstock/store"
)

// statements are those of a flush.
type statements struct {
	remember string // the ID; it changes no row if the ID is there, and waits for a transaction that has it
	prune    string
	head     string // of an upsert
	updated  bool
	tail     string
}

func newStatements[K comparable](l *store.Layout[K]) statements {
	columns := l.Columns()
	if l.Updated != "" {
		columns = append(columns, l.Updated)
	}
	flushes := l.Flushes.SQL()
	return statements{
		remember: fmt.Sprintf("INSERT INTO %s (id, counts, at) VALUES ($1, $2, now()) ON CONFLICT (id, counts) DO NOTHING", flushes),
		// Who prunes at the same time takes other rows, and nobody waits.
		prune: fmt.Sprintf("DELETE FROM %s WHERE (id, counts) IN (SELECT id, counts FROM %[1]s WHERE at < now() - $1::interval"+
			" ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)", flushes),
		head:    fmt.Sprintf("INSERT INTO %s AS c (%s) SELECT ", l.Table.SQL(), store.QuoteAll(columns)),
		updated: l.Updated != "",
		tail:    l.OnConflict("now()"),
	}
}

// upsert is the statement that writes rows. They come as an array for each column, of these types, and the keys' values are
// cast to their columns' types, which have no length: a string that is too long for its column is an error, and is not cut.
func (s *statements) upsert(columns []column, types []string) string {
	var b strings.Builder
	b.WriteString(s.head)
	for i, c := range columns {
		fmt.Fprintf(&b, "u.k%d::%s, ", i+1, c.typ)
	}
	b.WriteString("u.n")
	if s.updated {
		b.WriteString(", now()")
	}
	b.WriteString(" FROM unnest(")
	for i, t := range types {
		fmt.Fprintf(&b, "$%d::%s[], ", i+1, t)
	}
	fmt.Fprintf(&b, "$%d::int8[]) AS u(", len(types)+1)
	for i := range columns {
		fmt.Fprintf(&b, "k%d, ", i+1)
	}
	b.WriteString("n)")
	b.WriteString(s.tail)
	return b.String()
}
