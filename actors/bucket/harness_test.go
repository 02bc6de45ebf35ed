package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/limit"
	"github.com/penstock-go/penstock/supervisor"
)

// tenIn6s is the limit of Tornex's buckets, and of most tests.
var tenIn6s = limit.Limit{Name: "api", Events: 10, Per: 6 * time.Second}

// bubble runs a test in virtual time. Time stands still while anything runs.
func bubble(t *testing.T, run func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, run)
}

// newFamily starts a system with one family, and closes both at the end of the test if the test has not.
func newFamily(t testing.TB, cfg Config, opts ...penstock.Option) *Family {
	t.Helper()
	sys, err := penstock.New(opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = sys.Close(ctx)
	})
	f, err := NewFamily(sys, "test", cfg)
	require.NoError(t, err)
	return f
}

// deterministic makes one order of events out of many.
func deterministic() penstock.Option {
	return penstock.WithDispatcher(actor.NewSynchronizedDispatcher(300))
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

// worst returns the most that any half-open window of this length holds.
func (l *ledger) worst(window time.Duration) (most int) {
	byTime := slices.Clone(l.entries)
	slices.SortStableFunc(byTime, func(a, b ledgerEntry) int { return a.at.Compare(b.at) })
	first, held := 0, 0
	for _, e := range byTime {
		held += e.cost
		for e.at.Sub(byTime[first].at) >= window {
			held -= byTime[first].cost
			first++
		}
		most = max(most, held)
	}
	return most
}

// callers counts calls that were made and how they ended.
type callers struct {
	wg      sync.WaitGroup
	mu      sync.Mutex
	ends    map[string]int
	strange []error
}

// call makes a call on a goroutine of its own.
func (c *callers) call(fn func() error) {
	c.wg.Go(func() {
		err := fn()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ends == nil {
			c.ends = make(map[string]int)
		}
		end := ending(err)
		c.ends[end]++
		if end == "other" {
			c.strange = append(c.strange, err)
		}
	})
}

// ended is how the calls so far ended.
func (c *callers) ended() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}

func (c *callers) total() (n int) {
	for _, k := range c.ended() {
		n += k
	}
	return n
}

func ending(err error) string {
	var panicked *penstock.PanicError
	var gaveUp *supervisor.GaveUpError
	switch {
	case err == nil:
		return "granted"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "gave up"
	case errors.Is(err, penstock.ErrFull):
		return "full"
	case errors.Is(err, penstock.ErrClosed):
		return "closed"
	case errors.As(err, &gaveUp):
		return "given up"
	case errors.As(err, &panicked):
		return "panicked"
	}
	return "other"
}

// within is a context that ends after d of virtual time. Its timer ends with the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
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

// seeds is how many random runs a test makes.
func seeds() uint64 {
	if testing.Short() {
		return 5
	}
	return 20
}

// passivations is how often a bucket was put away.
func passivations(f *Family) uint64 {
	return f.sys.Info().Tree.Passivated
}
