package bucket

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
	"github.com/penstock-go/penstock/limit"
)

// tenIn6s is the limit of Tornex's buckets, and of most tests.
var tenIn6s = limit.Limit{Name: "api", Events: 10, Per: 6 * time.Second}

// newFamily starts a system with one family, and closes both at the end of the test if the test has not.
func newFamily(t testing.TB, cfg Config, opts ...penstock.Option) *Family {
	t.Helper()
	f, err := NewFamily(roomtest.System(t, opts...), "test", cfg)
	require.NoError(t, err)
	return f
}

// crash makes the bucket's actor panic, in the middle of its work and under the gate's lock.
func crash(f *Family, id string) {
	e, err := f.children.Get(id)
	if err == nil {
		f.children.Send(e, promoted{})
	}
}

// ledger is what was granted when: the oracle for every window.
type ledger struct {
	mu      sync.Mutex
	entries []ledgerEntry
}

type ledgerEntry struct {
	at    time.Time
	cost  int
	nice  int
	label int
}

func (l *ledger) add(e ledgerEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
}

// labels returns the labels in the order of their turns, those of one instant sorted.
func (l *ledger) labels() []int {
	slices.SortFunc(l.entries, func(a, b ledgerEntry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.label, b.label))
	})
	var labels []int
	for _, e := range l.entries {
		labels = append(labels, e.label)
	}
	return labels
}

func (l *ledger) sum() (n int) {
	for _, e := range l.entries {
		n += e.cost
	}
	return n
}

// worst is the most that any window of this length holds.
func (l *ledger) worst(window time.Duration) int {
	var turns []roomtest.Turn
	for _, e := range l.entries {
		turns = append(turns, roomtest.Turn{At: e.at, Cost: e.cost})
	}
	return roomtest.Worst(turns, window)
}

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("user-%d", i)
	}
	return list
}

// all takes what there is, and says how much that was.
func all(b *Bucket) (n int) {
	for b.TryAcquire(Request{}).Allowed {
		n++
	}
	return n
}

// passivations is how often a bucket was put away.
func passivations(f *Family) uint64 {
	return f.sys.Info().Tree.Passivated
}
