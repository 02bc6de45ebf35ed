package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/stat"
)

// Name is a table's name.
type Name struct{ Schema, Table string } // Schema is empty for the database's default

func (n Name) String() string {
	if n.Schema == "" {
		return n.Table
	}
	return n.Schema + "." + n.Table
}

// SQL is the name as SQL takes it.
func (n Name) SQL() string {
	if n.Schema == "" {
		return Quote(n.Table)
	}
	return Quote(n.Schema) + "." + Quote(n.Table)
}

// Quote makes an identifier of a name, whatever is in it.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteAll makes a list of identifiers.
func QuoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = Quote(n)
	}
	return strings.Join(quoted, ", ")
}

func cutSchema(name string) (schema, table string) {
	if schema, table, ok := strings.Cut(name, "."); ok {
		return schema, table
	}
	return "", name
}

// Layout is a [Counts] that was found right, with its defaults filled in. It is what an adapter works from.
type Layout[K comparable] struct {
	Table, Flushes Name
	Keys           []string
	Value          string
	Updated        string // empty: none
	Merge          Merge
	Retain         time.Duration
	// Counts is what a flush is remembered by, beside its ID: one flush may go to several tables, or columns of a table.
	Counts string

	split func(K) []any
}

// Layout checks the description. The error is a [penstock.ErrInvalid] and names every bad field and the values it takes.
func (c Counts[K]) Layout() (*Layout[K], error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	name := func(s string) Name {
		schema, table := cutSchema(s)
		return Name{Schema: schema, Table: table}
	}
	split := c.Split
	if split == nil {
		split = func(k K) []any { return []any{k} }
	}
	return &Layout[K]{
		Table: name(c.Table), Flushes: name(c.Flushes), Keys: append([]string(nil), c.Keys...), Value: c.Value, Updated: c.Updated,
		Merge: c.Merge, Retain: c.Retain, Counts: c.Table + "." + c.Value, split: split,
	}, nil
}

// Columns are the columns that a flush writes by itself: the keys and the count.
func (l *Layout[K]) Columns() []string { return append(append([]string(nil), l.Keys...), l.Value) }

// OnConflict is the end of an INSERT INTO … AS c: what happens to a row that is there, in the SQL that PostgreSQL and SQLite
// share. The expression now is the database's time.
func (l *Layout[K]) OnConflict(now string) string {
	value := Quote(l.Value)
	sql := fmt.Sprintf(" ON CONFLICT (%s) DO UPDATE SET %s = %s", QuoteAll(l.Keys), value, l.Merge.sql(value))
	if l.Updated != "" {
		sql += fmt.Sprintf(", %s = %s", Quote(l.Updated), now)
	}
	return sql
}

// Zero gives the values of the zero key, from which the types of the key columns can be told. It fails if Split does not take it.
func (l *Layout[K]) Zero() (values []any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("calling Split with the zero key panicked: %v", p)
		}
	}()
	var zero K
	return l.values(zero)
}

// CheckID refuses what is not a flush's ID: it takes 1 to 64 bytes of ASCII. No database can have stored such a flush, so the
// error is a [stat.ErrNotStored].
func CheckID(id string) error {
	ok := id != "" && len(id) <= 64
	for i := range len(id) {
		ok = ok && id[i] >= ' ' && id[i] <= '~'
	}
	if !ok {
		return fmt.Errorf("%w flush ID %.80q; it takes 1 to 64 bytes of printable ASCII (%w)", penstock.ErrInvalid, id, stat.ErrNotStored)
	}
	return nil
}
