package stat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

// errUnsure is an error after which nobody knows whether a flush was stored.
var errUnsure = errors.New("the connection was cut")

// table is a sink that remembers the IDs of what it stored together with it, as a database would, and everything that came.
type table[K comparable] struct {
	before func(f Flush[K]) error // answers before anything is stored, if it is not nil and has an error; not an untrue ErrNotStored
	after  func(f Flush[K]) error // answers after everything was
	hang   bool                   // waits for the end of the context before it stores anything, and then fails

	mu      sync.Mutex // guards what follows
	sums    map[K]int64
	ids     map[string][]Delta[K] // of what was stored
	seen    map[string][]Delta[K] // of what came
	stored  []Flush[K]            // in the order of storing
	times   []time.Time           // of storing
	calls   int
	twice   int      // flushes that came although they were stored
	strange []string // what no flush may be
}

func newTable[K comparable]() *table[K] {
	return &table[K]{sums: make(map[K]int64), ids: make(map[string][]Delta[K]), seen: make(map[string][]Delta[K])}
}

func (t *table[K]) Flush(ctx context.Context, f Flush[K]) error {
	before, after, hang := t.look(f)
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if before != nil {
		if err := before(f); err != nil && !(errors.Is(err, ErrNotStored) && t.has(f.ID)) {
			return err
		}
	}
	t.store(f)
	if after != nil {
		return after(f)
	}
	return nil
}

// set changes what the sink does, while it may be called.
func (t *table[K]) set(before, after func(f Flush[K]) error, hang bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.before, t.after, t.hang = before, after, hang
}

// look notes a flush that came, and whether it keeps what is said of flushes; it returns what is to be done with it.
func (t *table[K]) look(f Flush[K]) (before, after func(f Flush[K]) error, hang bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if first, again := t.seen[f.ID]; again && !slices.Equal(first, f.Deltas) {
		t.strange = append(t.strange, fmt.Sprintf("flush %q was %v and is %v", f.ID, first, f.Deltas))
	}
	t.seen[f.ID] = slices.Clone(f.Deltas)
	if len(f.ID) == 0 || len(f.ID) > 64 || len(f.Deltas) == 0 {
		t.strange = append(t.strange, fmt.Sprintf("flush %q has %d deltas", f.ID, len(f.Deltas)))
	}
	keys := make(map[K]bool, len(f.Deltas))
	for _, d := range f.Deltas {
		if keys[d.Key] {
			t.strange = append(t.strange, fmt.Sprintf("flush %q has %v twice", f.ID, d.Key))
		}
		keys[d.Key] = true
	}
	return t.before, t.after, t.hang
}

func (t *table[K]) store(f Flush[K]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids[f.ID] != nil {
		t.twice++
		return
	}
	t.ids[f.ID] = t.seen[f.ID]
	for _, d := range f.Deltas {
		t.sums[d.Key] += d.N
	}
	t.stored = append(t.stored, Flush[K]{ID: f.ID, Deltas: t.seen[f.ID]})
	t.times = append(t.times, time.Now())
}

// has reports whether a flush is stored, by an earlier attempt.
func (t *table[K]) has(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ids[id] != nil
}

// sum is what is stored for a key.
func (t *table[K]) sum(key K) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sums[key]
}

// all is what is stored.
func (t *table[K]) all() map[K]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.sums)
}

// flushes are those that were stored, in order.
func (t *table[K]) flushes() []Flush[K] {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.stored)
}

// called is how often the sink was called.
func (t *table[K]) called() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// check fails the test when a flush was not what flushes are.
func (t *table[K]) check(tb require.TestingT) {
	t.mu.Lock()
	defer t.mu.Unlock()
	require.Empty(tb, t.strange)
}

// fails answers the first n calls with err.
func fails[K comparable](n int, err error) func(Flush[K]) error {
	var mu sync.Mutex
	return func(Flush[K]) error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

// dropped is a Config.Dropped that keeps what it is given.
type dropped[K comparable] struct {
	mu      sync.Mutex
	sums    map[K]int64
	flushes []Flush[K]
	errs    []error
}

func (d *dropped[K]) take(f Flush[K], err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sums == nil {
		d.sums = make(map[K]int64)
	}
	for _, x := range f.Deltas {
		d.sums[x.Key] += x.N
	}
	d.flushes = append(d.flushes, f)
	d.errs = append(d.errs, err)
}

func (d *dropped[K]) all() map[K]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.sums)
}

// newBuffer starts a system with one buffer, and closes both at the end of the test if the test has not.
func newBuffer[K comparable](t testing.TB, cfg Config[K], opts ...penstock.Option) *Buffer[K] {
	t.Helper()
	b, err := NewBuffer(roomtest.System(t, opts...), "test", cfg)
	require.NoError(t, err)
	return b
}

// bad asks for a buffer that cannot be, and returns why.
func bad[K comparable](t testing.TB, name string, cfg Config[K]) error {
	t.Helper()
	b, err := NewBuffer(roomtest.System(t), name, cfg)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.Nil(t, b)
	return err
}

// increment counts, and fails the test if that fails.
func increment[K comparable](t testing.TB, b *Buffer[K], key K, n int64) {
	t.Helper()
	require.NoError(t, b.Increment(key, n))
}

// requireCount fails the test unless this is what the key's count is.
func requireCount[K comparable](t testing.TB, b *Buffer[K], key K, want int64) {
	t.Helper()
	n, ok := b.Count(key)
	require.True(t, ok, "nothing is counted for %v", key)
	require.Equal(t, want, n, "the count of %v", key)
}

// requireNothing fails the test unless all is stored that was counted for the keys.
func requireNothing[K comparable](t testing.TB, b *Buffer[K], keys ...K) {
	t.Helper()
	for _, key := range keys {
		n, ok := b.Count(key)
		require.False(t, ok, "%v has %d", key, n)
		require.Zero(t, n)
	}
}

// requireSame fails the test unless the sums are equal, and names a few that are not.
func requireSame[K comparable](t testing.TB, want, got map[K]int64) {
	t.Helper()
	var wrong []string
	for key := range got {
		if _, ok := want[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("%v: %d, and should not be there", key, got[key]))
		}
	}
	for key, n := range want {
		if got[key] != n {
			wrong = append(wrong, fmt.Sprintf("%v: %d, and should be %d", key, got[key], n))
		}
	}
	require.Empty(t, wrong[:min(len(wrong), 10)], "%d of %d keys are wrong", len(wrong), len(want))
}

// crash makes a key's actor panic, in the middle of its work and under the ledger's lock.
func crash[K, P comparable, C any](l *ledger[K, P, C], key K) {
	if e, ok := l.family.Lookup(key); ok {
		l.family.Send(e, (*tally[K, P, C])(nil))
	}
}

// names are n keys.
func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("key-%d", i)
	}
	return list
}
