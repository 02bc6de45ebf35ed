package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

// Refused is a key that the counts' table must refuse, by a constraint such as CHECK (page <> 'refused').
const Refused = "refused"

// Backend is a sink on tables of its own, and what the suite needs to look into them. Sink, Other and Counts are required.
type Backend struct {
	// Sink is what is proved.
	Sink stat.Sink[string]
	// Other is another sink on the same tables, as another process would have it.
	Other stat.Sink[string]
	// Counts reads the whole counts' table, not through a sink.
	Counts func(ctx context.Context) (map[string]int64, error)
	// Block makes flushes wait until release is called, by a lock that another connection holds. Default nil: it is not tested
	// that a context's end ends a wait
	Block func(ctx context.Context) (release func() error, err error)
	// Retain is how long IDs are remembered. Default 30 days
	Retain time.Duration
	// IDs is how many flush IDs are remembered. Default nil: it is not tested that old ones are forgotten
	IDs func(ctx context.Context) (int, error)
	// Age makes all that are remembered now older by d. It is required with IDs.
	Age func(ctx context.Context, d time.Duration) error
}

// TestCounts proves a sink. Open is called for each test, and makes a Backend with empty tables.
func TestCounts(t *testing.T, open func(t testing.TB, merge store.Merge) Backend) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

type opener = func(t testing.TB, merge store.Merge) Backend

var cases = []struct {
	name string
	run  func(t testing.TB, open opener)
}{
	{"counts become what merges say", model},
	{"sums stop at the ends of int64", extremes},
	{"any number of counts", sizes},
	{"any key", keys},
	{"the same flush again", again},
	{"the same flush at once", sameAtOnce},
	{"other flushes at once, keys in any order", othersAtOnce},
	{"what fails in the middle stores nothing", middle},
	{"what was stored is never said not to be", neverNotStored},
	{"IDs that are none", badIDs},
	{"a flush is left as it is", untouched},
	{"contexts that end at any moment", cancelled},
	{"contexts that end while the flush waits", blocked},
	{"old IDs are forgotten", forgotten},
}

// bench is a Backend under test, and what ought to be in it.
type bench struct {
	Backend
	t    testing.TB
	ids  int
	want map[string]int64
}

func newBench(t testing.TB, open opener, merge store.Merge) *bench {
	b := open(t, merge)
	if b.Sink == nil || b.Other == nil || b.Counts == nil || (b.IDs == nil) != (b.Age == nil) {
		t.Fatal("storetest: Backend takes a Sink, an Other and Counts, and IDs and Age both or none")
	}
	if b.Retain == 0 {
		b.Retain = 30 * 24 * time.Hour
	}
	return &bench{Backend: b, t: t, want: make(map[string]int64)}
}

// id is a new one, of the greatest length there is.
func (b *bench) id() string {
	b.ids++
	return fmt.Sprintf("%064d", b.ids)
}

// flush stores deltas as a new flush and notes them as sums.
func (b *bench) flush(deltas ...stat.Delta[string]) stat.Flush[string] {
	b.t.Helper()
	f := stat.Flush[string]{ID: b.id(), Deltas: deltas}
	require.NoError(b.t, b.Sink.Flush(b.t.Context(), f))
	b.note(deltas)
	return f
}

func (b *bench) note(deltas []stat.Delta[string]) {
	for _, d := range deltas {
		b.want[d.Key] = store.Sum.Of(b.want[d.Key], d.N)
	}
}

// counts are what is in the table.
func (b *bench) counts() map[string]int64 {
	b.t.Helper()
	got, err := b.Counts(b.t.Context())
	require.NoError(b.t, err)
	return got
}

// check compares the table with what ought to be in it.
func (b *bench) check(why string) {
	b.t.Helper()
	got := b.counts()
	require.Len(b.t, got, len(b.want), why)
	for k, n := range b.want {
		stored, ok := got[k]
		require.True(b.t, ok, "%s: key %.80q is not there", why, k)
		require.Equal(b.t, n, stored, "%s: key %.80q", why, k)
	}
}

// atOnce runs a function n times at the same time and returns one of the errors, or nil if there was none.
func atOnce(n int, run func(i int) error) error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// sinkOf is one of the sinks, in turn.
func (b *bench) sinkOf(i int) stat.Sink[string] {
	if i%2 == 0 {
		return b.Sink
	}
	return b.Other
}

func delta(key string, n int64) stat.Delta[string] { return stat.Delta[string]{Key: key, N: n} }
