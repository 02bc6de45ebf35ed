package bank

import (
	"context"
	"database/sql"
)

// Each makes a transaction of each transfer.
type Each struct{ bank *Bank }

// NewEach is a mover of a bank.
func NewEach(b *Bank) *Each { return &Each{b} }

// Move reads both wallets, changes them and notes the transfer. It locks the wallets in the order of their numbers, so that no two
// transfers wait for one another.
func (e *Each) Move(ctx context.Context, t Transfer) (left int64, err error) {
	b := e.bank
	err = b.within(ctx, func(tx *sql.Tx) error {
		held, err := read(b.use(ctx, tx, lockTwo).QueryContext(ctx, t.Payer, t.Payee))
		if err != nil {
			return err
		}
		if left = held[t.Payer] - t.Amount; left < 0 {
			return ErrPoor
		}
		if _, err := b.use(ctx, tx, changeTwo).ExecContext(ctx, t.Payer, t.Amount, t.Payee); err != nil {
			return err
		}
		_, err = b.use(ctx, tx, noteOne).ExecContext(ctx, t.ID, t.Payer, t.Payee, t.Amount)
		return err
	})
	return left, err
}

// read reads balances.
func read(rows *sql.Rows, err error) (map[int]int64, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	held := make(map[int]int64)
	for rows.Next() {
		var id int
		var balance int64
		if err := rows.Scan(&id, &balance); err != nil {
			return nil, err
		}
		held[id] = balance
	}
	return held, rows.Err()
}
