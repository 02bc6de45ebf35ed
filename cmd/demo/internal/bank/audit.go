package bank

import (
	"context"
	"iter"
)

// Wallet is one whose balance is not what its transfers come to.
type Wallet struct {
	ID      int   `json:"id"`
	Balance int64 `json:"balance"`
	Due     int64 `json:"due"`
}

// Audit is what the database says.
type Audit struct {
	Wallets   int      `json:"wallets"`
	Sum       int64    `json:"sum"` // of all balances
	Transfers int      `json:"transfers"`
	Version   int64    `json:"version"` // of the book
	Wrong     []Wallet `json:"wrong_wallets"`
}

const wrongWallets = `SELECT wallets.id, wallets.balance, $1 + CAST(coalesce(changes.n, 0) AS BIGINT) AS due
FROM wallets LEFT JOIN (
	SELECT id, sum(n) AS n FROM (
		SELECT payer AS id, -amount AS n FROM transfers UNION ALL SELECT payee, amount FROM transfers
	) AS halves GROUP BY id
) AS changes ON changes.id = wallets.id
WHERE wallets.balance <> $1 + CAST(coalesce(changes.n, 0) AS BIGINT) ORDER BY wallets.id`

// Audit adds everything up, in SQL.
func (b *Bank) Audit(ctx context.Context) (a Audit, err error) {
	err = b.db.QueryRowContext(ctx, `SELECT count(*), CAST(coalesce(sum(balance), 0) AS BIGINT),
		(SELECT count(*) FROM transfers), (SELECT max(version) FROM books) FROM wallets`).Scan(&a.Wallets, &a.Sum, &a.Transfers, &a.Version)
	if err != nil {
		return a, err
	}
	rows, err := b.db.QueryContext(ctx, wrongWallets, Opening)
	if err != nil {
		return a, err
	}
	defer rows.Close()
	for rows.Next() {
		var w Wallet
		if err := rows.Scan(&w.ID, &w.Balance, &w.Due); err != nil {
			return a, err
		}
		a.Wrong = append(a.Wrong, w)
	}
	return a, rows.Err()
}

// Transfers are those that were noted, by their IDs. An error ends them.
func (b *Bank) Transfers(ctx context.Context) iter.Seq2[Transfer, error] {
	return func(yield func(Transfer, error) bool) {
		rows, err := b.db.QueryContext(ctx, "SELECT id, payer, payee, amount FROM transfers ORDER BY id")
		if err != nil {
			yield(Transfer{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var t Transfer
			if err := rows.Scan(&t.ID, &t.Payer, &t.Payee, &t.Amount); err != nil {
				yield(t, err)
				return
			}
			if !yield(t, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Transfer{}, err)
		}
	}
}
