package storetest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/cluster"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/store/storetest"
)

// owned is the most naive resource whose rows have epochs, for one test at a time.
type owned struct {
	bugs string
	rows map[string]storetest.Account
}

func (o *owned) has(bug string) bool { return strings.Contains(o.bugs, bug) }

func (o *owned) Load(ctx context.Context, key string) (*storetest.Account, error) {
	values, errs := o.LoadMany(ctx, []string{key})
	return values[0], errs[0]
}

func (o *owned) Save(ctx context.Context, key string, a *storetest.Account) error {
	return o.SaveMany(ctx, []string{key}, []*storetest.Account{a})[0]
}

// epoch is what the context says of one of n keys.
func (o *owned) epoch(ctx context.Context, i, n int) (epoch int64, is bool, err error) {
	epochs, ok := cluster.Epochs(ctx)
	switch {
	case ok && len(epochs) != n && !o.has("guesses"):
		return 0, false, penstock.ErrInvalid
	case ok && (len(epochs) != n || o.has("one for all")):
		return epochs[0], true, nil
	case ok:
		return epochs[i], true, nil
	}
	epoch, is = cluster.Epoch(ctx)
	return epoch, is, nil
}

func (o *owned) LoadMany(ctx context.Context, keys []string) ([]*storetest.Account, []error) {
	values, errs := make([]*storetest.Account, len(keys)), make([]error, len(keys))
	for i, key := range keys {
		epoch, is, err := o.epoch(ctx, i, len(keys))
		row := o.rows[key]
		switch {
		case err != nil:
			errs[i] = err
		case is && row.Epoch > epoch && !o.has("loads for anybody"):
			errs[i] = batch.ErrStaleEpoch
		default:
			values[i] = &row
		}
	}
	return values, errs
}

func (o *owned) SaveMany(ctx context.Context, keys []string, values []*storetest.Account) []error {
	errs := make([]error, len(keys))
	for i, key := range keys {
		epoch, is, err := o.epoch(ctx, i, len(keys))
		row, a := o.rows[key], values[i]
		stale := is && row.Epoch > epoch
		switch {
		case err != nil:
			errs[i] = err
		case stale && row.Version != a.Version && o.has("says conflict"):
			errs[i] = batch.ErrConflict
		case stale && !o.has("saves for anybody"):
			errs[i] = batch.ErrStaleEpoch
		case row.Version != a.Version && !o.has("no versions"):
			errs[i] = batch.ErrConflict
		default:
			a.Version++
			switch {
			case is && !o.has("no epochs"):
				a.Epoch = epoch
			case !is && o.has("forgets"):
				a.Epoch = 0
			}
			o.rows[key] = *a
		}
	}
	return errs
}

func openOwned(bugs string) func(t testing.TB) storetest.ResourceBackend {
	return func(testing.TB) storetest.ResourceBackend {
		o := &owned{bugs, map[string]storetest.Account{}}
		return storetest.ResourceBackend{
			Resource: o, Other: o, NoInsert: o,
			Rows: func(context.Context) (map[string]int64, error) {
				amounts := map[string]int64{}
				for k, a := range o.rows {
					amounts[k] = a.Amount
				}
				return amounts, nil
			},
			Delete: func(context.Context, string) error { return nil },
		}
	}
}

func TestTheNaiveResourceWithEpochsPasses(t *testing.T) {
	storetest.TestResourceEpochs(t, openOwned(""))
}

// TestBrokenResourcesWithEpochsFail proves the suite itself.
func TestBrokenResourcesWithEpochsFail(t *testing.T) {
	for _, bug := range []string{"guesses", "one for all", "loads for anybody", "saves for anybody", "says conflict", "no versions", "no epochs", "forgets"} {
		assert.True(t, roomtest.Fails(t, storetest.EpochCases(), openOwned(bug)), "a resource that has the bug %q passed", bug)
	}
}
