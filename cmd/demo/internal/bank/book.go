package bank

import "encoding/json"

// Book is all wallets, as a batch has them. A transfer changes two of them and may be saved only with both, so what is loaded
// and saved at once is the book, not a wallet.
type Book struct {
	version int64 // it was loaded with, or saved as
	held    map[int]int64
	moved   []Transfer       // since then
	touched map[int]struct{} // wallets that they have changed
}

func newBook(version int64, held map[int]int64) *Book {
	return &Book{version: version, held: held, touched: make(map[int]struct{})}
}

// move is the operation. What it is told to do it does whole, or not at all.
func (b *Book) move(t Transfer) (left int64, err error) {
	if b.held[t.Payer] < t.Amount {
		return 0, ErrPoor
	}
	b.held[t.Payer] -= t.Amount
	b.held[t.Payee] += t.Amount
	b.moved = append(b.moved, t)
	b.touched[t.Payer], b.touched[t.Payee] = struct{}{}, struct{}{}
	return b.held[t.Payer], nil
}

// saved forgets what is in the database now.
func (b *Book) saved() {
	b.version++
	b.moved = b.moved[:0]
	clear(b.touched)
}

// texts are the transfers and the balances that are to be saved, as JSON for one statement each.
func (b *Book) texts() (moved, held string, err error) {
	rows := make([][4]int64, 0, len(b.moved))
	for _, t := range b.moved {
		rows = append(rows, [4]int64{t.ID, int64(t.Payer), int64(t.Payee), t.Amount})
	}
	balances := make([][2]int64, 0, len(b.touched))
	for id := range b.touched {
		balances = append(balances, [2]int64{int64(id), b.held[id]})
	}
	first, err := json.Marshal(rows)
	if err != nil {
		return "", "", err
	}
	second, err := json.Marshal(balances)
	return string(first), string(second), err
}
