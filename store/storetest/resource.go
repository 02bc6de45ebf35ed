package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/batch"
)

// Account is what a [ResourceBackend] loads and saves: a row with an amount, a note, a version, the tokens of its last saves, and
// perhaps an epoch. Note is NULL in the table if it is nil.
type Account struct {
	Amount  int64
	Note    *string
	Version int64
	Tokens  string
	Epoch   int64 // only [TestResourceEpochs] needs it

	// Hurt, if it is set, is called by the resource's Scan and Values.
	Hurt func()
}

// RefusedAmount is an amount that the table must refuse, by a constraint such as CHECK (amount <> -666).
const RefusedAmount = -666

// Resource is what is proved: the four functions of a batch.Config.
type Resource interface {
	Load(ctx context.Context, key string) (*Account, error)
	Save(ctx context.Context, key string, value *Account) error
	LoadMany(ctx context.Context, keys []string) ([]*Account, []error)
	SaveMany(ctx context.Context, keys []string, values []*Account) []error
}

// ResourceBackend is a resource on a table of its own, and what the suite needs to look into it. All but Block are required.
// A key that has no row is loaded as an Account of the amount 0, and inserted when it is saved.
type ResourceBackend struct {
	// Resource is what is proved. Its New must panic for the key "panic", its Scan and Values must call Hurt if it is set.
	Resource Resource
	// Other is another resource on the same table, as another process would have it.
	Other Resource
	// NoInsert is one on the same table that has no Insert.
	NoInsert Resource
	// Rows reads the whole table, not through a resource: amounts by key.
	Rows func(ctx context.Context) (map[string]int64, error)
	// Delete deletes a row.
	Delete func(ctx context.Context, key string) error
	// Block makes saves wait until release is called, by a lock that another connection holds. Default nil: it is not tested
	// that a context's end ends a wait
	Block func(ctx context.Context) (release func() error, err error)
}

type resourceOpener = func(t testing.TB) ResourceBackend

// TestResource proves a resource. Open is called for each test, and makes a ResourceBackend with an empty table.
func TestResource(t *testing.T, open func(t testing.TB) ResourceBackend) {
	for _, c := range resourceCases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

var resourceCases = []struct {
	name string
	run  func(t testing.TB, open resourceOpener)
}{
	{"a row is loaded as it was saved", roundTrip},
	{"a key without a row", missing},
	{"who comes second has a conflict", conflict},
	{"many at once, each with its own result", many},
	{"what is refused keeps nobody else out", refusals},
	{"any key, any number", manyKeys},
	{"writers at once lose nothing", writers},
	{"writers of many at once lose nothing", manyWriters},
	{"panics are errors of their keys", panics},
	{"contexts that end at any moment", endings},
	{"contexts that end while the save waits", waiting},
	{"any order of loads, saves and deletes", resourceModel},
}

// ledger is a ResourceBackend under test.
type ledger struct {
	ResourceBackend
	t testing.TB
}

func newLedger(t testing.TB, open resourceOpener) *ledger {
	b := open(t)
	if b.Resource == nil || b.Other == nil || b.NoInsert == nil || b.Rows == nil || b.Delete == nil {
		t.Fatal("storetest: ResourceBackend takes a Resource, an Other, a NoInsert, Rows and Delete")
	}
	return &ledger{b, t}
}

func (l *ledger) load(key string) *Account {
	l.t.Helper()
	a, err := l.Resource.Load(l.t.Context(), key)
	require.NoError(l.t, err)
	return a
}

// set makes a row.
func (l *ledger) set(key string, amount int64) *Account {
	l.t.Helper()
	a := l.load(key)
	a.Amount = amount
	require.NoError(l.t, l.Resource.Save(l.t.Context(), key, a))
	return a
}

func (l *ledger) rows(want map[string]int64, why string) {
	l.t.Helper()
	got, err := l.Rows(l.t.Context())
	require.NoError(l.t, err)
	require.Equal(l.t, want, got, why)
}

// of is one of the resources, in turn.
func (l *ledger) of(i int) Resource {
	if i%2 == 0 {
		return l.Resource
	}
	return l.Other
}

// add adds to a row as a batch would, again after each conflict.
func add(ctx context.Context, r Resource, key string, n int64) error {
	for {
		a, err := r.Load(ctx, key)
		if err != nil {
			return err
		}
		a.Amount += n
		if err := r.Save(ctx, key, a); !errors.Is(err, batch.ErrConflict) {
			return err
		}
	}
}
