package store

import (
	"database/sql/driver"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-go/penstock"
)

// Counts describes a user's table of counts: a row for each key. Table and Keys are required.
type Counts[K comparable] struct {
	// Table is the counts' table. A dot separates a schema from it: "stats.views"
	Table string
	// Keys are the key columns, 1 to 16. There must be a unique index or a primary key over exactly them.
	Keys []string
	// Split gives a key's values for Keys, in their order: strings, integers, booleans, floats, bytes (slices or arrays),
	// time.Time, [driver.Valuer] or [encoding.TextMarshaler]; never NULL. The same key must always give the same values, and
	// keys whose values are the same share a row. Default, for one column: the key itself
	Split func(K) []any
	// Value is the column of the count, a 64-bit integer. Default "n"
	Value string
	// Updated is a column that gets the database's time whenever the row is written. Default: none
	Updated string
	// Merge is what happens when the row is there. Default Sum
	Merge Merge
	// Flushes is the table of the IDs of flushes that were stored. Default "penstock_flushes", in Table's schema
	Flushes string
	// Retain is how long those IDs are kept, by the database's clock: longer than anybody may wait before repeating a flush,
	// since one that comes again after that is stored again. Default 30 days
	Retain time.Duration
}

const (
	minRetain = time.Minute
	maxRetain = 3660 * 24 * time.Hour
	maxName   = 63 // bytes: PostgreSQL cuts longer ones off without a word
	maxKeys   = 16
)

func (c Counts[K]) withDefaults() Counts[K] {
	if c.Value == "" {
		c.Value = "n"
	}
	if c.Flushes == "" {
		schema, _ := cutSchema(c.Table)
		c.Flushes = Name{Schema: schema, Table: "penstock_flushes"}.String()
	}
	if c.Retain == 0 {
		c.Retain = 30 * 24 * time.Hour
	}
	return c
}

// validate names every bad field and the values it takes.
func (c Counts[K]) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	table := func(field, name string) {
		schema, table := cutSchema(name)
		if schema != "" || strings.HasPrefix(name, ".") {
			why := badName(schema)
			check(why == "", "%s is %q, and its schema %s; it takes a table's name, or a schema's and a table's with a dot between", field, name, why)
		}
		why := badName(table)
		check(why == "", "%s is %q, and the table's name %s; it takes a table's name, or a schema's and a table's with a dot between", field, name, why)
	}
	seen := make(map[string]string)
	column := func(field, name string) {
		why := badName(name)
		check(why == "", "%s is %q, which %s; it takes a column's name", field, name, why)
		other, twice := seen[strings.ToLower(name)]
		check(!twice || why != "", "%s is %q, as is %s; it takes a column of its own", field, name, other)
		if !twice {
			seen[strings.ToLower(name)] = field
		}
	}
	table("Table", c.Table)
	check(len(c.Keys) > 0 && len(c.Keys) <= maxKeys, "Keys has %d columns; it takes 1 to %d", len(c.Keys), maxKeys)
	for i, k := range c.Keys {
		column(fmt.Sprintf("Keys[%d]", i), k)
	}
	if c.Split == nil {
		check(len(c.Keys) < 2, "Split is nil, and Keys has %d columns; it takes a function that gives a key's values for them", len(c.Keys))
		check(len(c.Keys) > 1 || plain[K](), "Split is nil, and a %v is not a column's value; it takes a function that makes values of it", reflect.TypeFor[K]())
	}
	column("Value", c.Value)
	if c.Updated != "" {
		column("Updated", c.Updated)
	}
	check(c.Merge >= Sum && c.Merge <= Last, "Merge is %v; it takes Sum, Max or Last", c.Merge)
	table("Flushes", c.Flushes)
	check(!strings.EqualFold(c.Flushes, c.Table), "Flushes is %q, as is Table; it takes a table of its own", c.Flushes)
	check(c.Retain >= minRetain && c.Retain <= maxRetain, "Retain is %v; it takes %v to %v, or 0 for 30 days", c.Retain, minRetain, maxRetain)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w counts: %w", penstock.ErrInvalid, err)
	}
	return nil
}

// badName says what is wrong with an identifier. It is empty if nothing is.
func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("has %d bytes, more than %d", len(name), maxName)
	case strings.Contains(name, "\x00"):
		return "has a NUL in it"
	case !utf8.ValidString(name):
		return "is not UTF-8"
	}
	return ""
}

// plain reports whether a key is a column's value as it is.
func plain[K comparable]() bool {
	typ := reflect.TypeFor[K]()
	for _, is := range []reflect.Type{reflect.TypeFor[driver.Valuer](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if typ.Implements(is) && typ.Kind() != reflect.Interface {
			return true
		}
	}
	switch typ.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64:
		return true
	case reflect.Array:
		return typ.Elem().Kind() == reflect.Uint8
	}
	return typ.Kind() >= reflect.Int && typ.Kind() <= reflect.Uint64
}
