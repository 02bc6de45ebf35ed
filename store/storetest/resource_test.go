package storetest_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/actors/batch"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/store"
	"github.com/penstock-go/penstock/store/storetest"
)

// table is the most naive resource there is. Broken ones are made of it, by the bugs in it.
type table struct {
	bugs     string
	mu       chan struct{} // holds something while rows are used
	rows     map[string]storetest.Account
	noInsert bool
	lost     int
}

func (m *table) has(bug string) bool { return strings.Contains(m.bugs, bug) }

func (m *table) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil && !m.has("heedless") {
		return nil, err
	}
	select {
	case m.mu <- struct{}{}:
		return func() { <-m.mu }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func protect(fn func()) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &penstock.PanicError{Value: reason}
		}
	}()
	fn()
	return nil
}

func (m *table) Load(ctx context.Context, key string) (*storetest.Account, error) {
	values, errs := m.LoadMany(ctx, []string{key})
	return values[0], errs[0]
}

func (m *table) Save(ctx context.Context, key string, a *storetest.Account) error {
	return m.SaveMany(ctx, []string{key}, []*storetest.Account{a})[0]
}

func (m *table) LoadMany(ctx context.Context, keys []string) ([]*storetest.Account, []error) {
	values, errs := make([]*storetest.Account, len(keys)), make([]error, len(keys))
	leave, err := m.enter(ctx)
	for i, key := range keys {
		row, ok := storetest.Account{}, false
		if err == nil {
			row, ok = m.rows[key]
		}
		switch {
		case err != nil:
			errs[i] = err
		case key == "panic" && m.has("throws"):
			panic(key)
		case key == "panic":
			errs[i] = &penstock.PanicError{Value: key}
		case !ok && m.noInsert && !m.has("makes up"):
			errs[i] = store.ErrMissing
		default:
			values[i] = &row
		}
	}
	if err == nil {
		leave()
	}
	return values, errs
}

func (m *table) SaveMany(ctx context.Context, keys []string, values []*storetest.Account) []error {
	errs := make([]error, len(keys))
	if len(keys) != len(values) {
		for i := range errs {
			errs[i] = penstock.ErrInvalid
		}
		return errs
	}
	leave, err := m.enter(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
			if m.has("guesses") {
				errs[i] = batch.ErrConflict
			}
		}
		return errs
	}
	defer leave()
	before := maps.Clone(m.rows)
	for i, key := range keys {
		a := values[i]
		row, ok := m.rows[key]
		if a.Hurt != nil {
			if errs[i] = protect(a.Hurt); errs[i] != nil {
				continue
			}
		}
		switch {
		case a.Version < 0:
			errs[i] = penstock.ErrInvalid
		case m.noInsert && a.Version == 0:
			errs[i] = store.ErrMissing
		case a.Amount == storetest.RefusedAmount && m.has("refuses late"):
			errs[i] = batch.ErrConflict
		case a.Amount == storetest.RefusedAmount:
			errs[i] = errors.New("refused")
		case !ok && a.Version > 0 && m.has("raises the dead"):
		case row.Version != a.Version && !m.has("no versions") && !(m.has("inserts over") && a.Version == 0):
			errs[i] = batch.ErrConflict
		}
		if errs[i] != nil && m.has("all or none") {
			m.rows = before
			for j := range errs {
				errs[j] = errs[i]
			}
			return errs
		}
		if errs[i] != nil && m.has("stops") {
			return errs
		}
		if errs[i] != nil {
			continue
		}
		if m.lost++; m.has("loses") && m.lost%30 == 0 {
			a.Version++
			continue
		}
		a.Version++
		row = *a
		if m.has("forgets notes") {
			row.Note = nil
		}
		if m.has("old version") {
			a.Version--
		}
		m.rows[key] = row
	}
	return errs
}

func openTable(bugs string) func(t testing.TB) storetest.ResourceBackend {
	return func(testing.TB) storetest.ResourceBackend {
		m := &table{bugs: bugs, mu: make(chan struct{}, 1), rows: map[string]storetest.Account{}}
		no := *m
		no.noInsert = true
		return storetest.ResourceBackend{
			Resource: m, Other: m, NoInsert: &no,
			Rows: func(context.Context) (map[string]int64, error) {
				m.mu <- struct{}{}
				defer func() { <-m.mu }()
				amounts := map[string]int64{}
				for k, a := range m.rows {
					amounts[k] = a.Amount
				}
				return amounts, nil
			},
			Delete: func(_ context.Context, key string) error {
				delete(m.rows, key)
				return nil
			},
			Block: func(context.Context) (func() error, error) {
				m.mu <- struct{}{}
				return func() error { <-m.mu; return nil }, nil
			},
		}
	}
}

func TestTheNaiveResourcePasses(t *testing.T) { storetest.TestResource(t, openTable("")) }

// TestBrokenResourcesFail proves the suite itself.
func TestBrokenResourcesFail(t *testing.T) {
	for _, bug := range []string{
		"heedless", "throws", "makes up", "guesses", "refuses late", "raises the dead", "no versions", "inserts over", "all or none", "stops", "loses",
		"forgets notes", "old version",
	} {
		assert.True(t, roomtest.Fails(t, storetest.ResourceCases(), openTable(bug)), "a resource that has the bug %q passed", bug)
	}
}
