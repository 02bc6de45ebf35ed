package bank

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-go/penstock"
)

const (
	// Wallets is how many there are; their numbers are 1 to that.
	Wallets = 200
	// Opening is what each of them holds at first.
	Opening = 1000
)

// ErrPoor is the answer to a transfer of more than its payer has. It moves nothing.
var ErrPoor = errors.New("bank: the payer has less than that")

// Transfer is money that is to be moved from a wallet to another one.
type Transfer struct {
	ID     int64 `json:"id"` // no other transfer has it; 1 or more
	Payer  int   `json:"payer"`
	Payee  int   `json:"payee"`
	Amount int64 `json:"amount"`
}

// Mover moves money. It returns what the payer has left when the transfer is on disk.
type Mover interface {
	Move(ctx context.Context, t Transfer) (left int64, err error)
}

// Validate names every bad field and the values it takes.
func (t Transfer) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(t.ID >= 1, "id is %d; it takes 1 or more", t.ID)
	check(t.Payer >= 1 && t.Payer <= Wallets, "payer is %d; it takes 1 to %d", t.Payer, Wallets)
	check(t.Payee >= 1 && t.Payee <= Wallets && t.Payee != t.Payer, "payee is %d; it takes 1 to %d, and not the payer", t.Payee, Wallets)
	check(t.Amount >= 1 && t.Amount <= Wallets*Opening, "amount is %d; it takes 1 to %d", t.Amount, Wallets*Opening)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w transfer: %w", penstock.ErrInvalid, err)
	}
	return nil
}
