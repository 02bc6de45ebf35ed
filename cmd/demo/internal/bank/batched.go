package bank

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
)

const (
	// longestSave is for a disk that is very slow: until then nobody is told that it is not known whether it was saved.
	longestSave = time.Minute
	// keepBook is how long the book is kept in memory. Its version tells when somebody else has written meanwhile.
	keepBook = time.Minute
)

// Batched runs transfers on the book of all wallets, and saves it once for all that came during the last save.
type Batched struct {
	bank  *Bank
	books *batch.Processor[string, *Book]
}

// NewBatched starts a processor of a bank's book in a system, which stops it.
func NewBatched(sys *penstock.System, b *Bank) (*Batched, error) {
	m := &Batched{bank: b}
	var err error
	m.books, err = batch.NewProcessor(sys, "books", batch.Config[string, *Book]{
		MinDuration: batch.NoWait, MaxDuration: longestSave, KeepLoaded: keepBook, Load: m.load, Save: m.save,
	})
	return m, err
}

// Move has the transfer done in a batch, and returns when that is saved.
func (m *Batched) Move(ctx context.Context, t Transfer) (left int64, err error) {
	return batch.Do(ctx, m.books, bookName, func(b *Book) (int64, error) { return b.move(t) })
}

// load reads the version first: if somebody writes between the two, it is the old one, and the save says so.
func (m *Batched) load(ctx context.Context, name string) (*Book, error) {
	var at int64
	if err := m.bank.prepared[version].QueryRowContext(ctx, name).Scan(&at); err != nil {
		return nil, err
	}
	held, err := read(m.bank.prepared[balances].QueryContext(ctx))
	return newBook(at, held), err
}

// save writes what has changed, however much that is, with three statements.
func (m *Batched) save(ctx context.Context, name string, book *Book) error {
	moved, held, err := book.texts()
	if err != nil {
		return err
	}
	b := m.bank
	err = b.within(ctx, func(tx *sql.Tx) error {
		done, err := b.use(ctx, tx, newVersion).ExecContext(ctx, name, book.version)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("%w: version %d", batch.ErrConflict, book.version)
		}
		if _, err := b.use(ctx, tx, noteMany).ExecContext(ctx, moved); err != nil {
			return err
		}
		_, err = b.use(ctx, tx, changeMany).ExecContext(ctx, held)
		return err
	})
	if err == nil {
		book.saved()
	}
	return err
}
