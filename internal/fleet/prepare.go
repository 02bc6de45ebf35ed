package fleet

import (
	"context"
	"errors"

	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/sqlite"
)

// Prepare makes the file of leases, before nodes that start at the same time are all about to.
func Prepare(ctx context.Context, file string) error {
	db, err := sqlite.Open(file)
	if err != nil {
		return err
	}
	_, err = sqlite.NewLeases(ctx, db, store.LeaseTable{})
	return errors.Join(err, db.Close())
}
