// Package resource is what the adapters of [store.Resource] share: what becomes of a load and of a save, whatever the database.
package resource

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/store"
)

// Database is what an adapter does. User code runs in it: values' Scan and Value methods. A panic is an error of a read or a
// save, by [Protect].
type Database interface {
	// Name begins errors' texts.
	Name() string
	// Load runs a query for each read, and sets what it found, or its error.
	Load(ctx context.Context, query string, reads []*Read)
	// Save runs writes in one transaction, in their order, and sets what their statements returned. It commits if all went
	// well and some wrote something. The error is why it is not Stored.
	Save(ctx context.Context, writes []*Write) (Outcome, error)
	// IsDuplicate reports whether an error says that there is a row with the same key already.
	IsDuplicate(err error) bool
}

// Outcome is what became of a transaction.
type Outcome int

const (
	Stored  Outcome = iota // committed, or there was nothing to be
	Failed                 // certainly not stored, for a reason that has nothing to do with what was to be written
	Faulty                 // certainly not stored, because of a write: the one that has an error, or some of them
	Busy                   // certainly not stored, because of others; it may do when it is tried again
	Unknown                // perhaps stored
)

// Read is a row that is to be read.
type Read struct {
	Args  []any
	Dest  []any // nil for a column of no interest
	Found bool
	Err   error
}

// errRows is the error of a query that gives more rows than the one it may.
func errRows(what string) error {
	return fmt.Errorf("%s gave more than one row; it takes one or none", what)
}

// Row is called for each row that there is, with what scans one.
func (r *Read) Row(scan func(dest ...any) error) {
	switch {
	case r.Err != nil:
	case r.Found:
		r.Err = errRows("Select")
	default:
		r.Found = true
		r.Err = Protect(func() error { return scan(r.Dest...) })
	}
}

// Write is an Update or an Insert that is to be done.
type Write struct {
	SQL     string
	Args    []any
	Written bool  // it returned a row
	Version int64 // which it returned
	Err     error

	what  string // SQL's field
	after int64  // what the version must be greater than
}

// Row is called for each row that the statement returns, with what scans one.
func (w *Write) Row(scan func(dest ...any) error) {
	switch {
	case w.Err != nil:
	case w.Written:
		w.Err = errRows(w.what)
	default:
		w.Written = true
		if w.Err = scan(&w.Version); w.Err == nil && w.Version <= w.after {
			w.Err = fmt.Errorf("%s returned version %d after version %d; it must make it greater", w.what, w.Version, w.after)
		}
	}
}

// Protect makes an error of a panic.
func Protect(fn func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// Engine loads and saves the values of a resource. It keeps nothing between calls.
type Engine[K comparable, R any] struct {
	of store.Resource[K, R]
	db Database
	// Counts are how many parameters and columns the statements have.
	Counts Counts
}

// Counts are how many values there are for a statement.
type Counts struct{ Keys, Scan, Values, Tokens, Epoch int }

// row is how many columns Select returns.
func (c Counts) row() int { return c.Scan + 1 + c.Tokens + c.Epoch }

// New makes an engine of a description. The error is a [penstock.ErrInvalid] and names every bad field.
func New[K comparable, R any](db Database, of store.Resource[K, R]) (*Engine[K, R], error) {
	if of.Key == nil {
		of.Key = func(key K) []any { return []any{key} }
	}
	if typ := reflect.TypeFor[R](); of.New == nil && typ.Kind() == reflect.Pointer {
		of.New = func(K) R { return reflect.New(typ.Elem()).Interface().(R) }
	}
	if of.Values == nil {
		of.Values = of.Scan
	}
	e := &Engine[K, R]{of: of, db: db}
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("%w resource: %w", penstock.ErrInvalid, err)
	}
	return e, nil
}

// places are where a value's row is scanned.
func (e *Engine[K, R]) places(value R) []any {
	dest := append(append([]any(nil), e.of.Scan(value)...), e.of.Version(value))
	if e.of.Tokens != nil {
		dest = append(dest, e.of.Tokens(value))
	}
	if e.of.Epoch != nil {
		dest = append(dest, e.of.Epoch(value))
	}
	return dest
}

// wrap says whose error it is.
func (e *Engine[K, R]) wrap(what string, key K, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s of key %.200q: %w", e.db.Name(), what, fmt.Sprint(key), err)
}
