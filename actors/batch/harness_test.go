package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
	"github.com/penstock-go/penstock/internal/roomtest"
)

var (
	errOwn  = errors.New("the operation's own error")
	errLoad = errors.New("the database does not answer")
	errSave = errors.New("the database does not write")
)

// ledger is a resource: the numbers of the operations that changed it, in the order of their running.
type ledger struct {
	done    []int
	version int // of the row it was loaded from
}

// table is a database of ledgers. Each row has a version, as in a database that has others write to it, too.
type table struct {
	beforeLoad func(ctx context.Context, key string) error
	beforeSave func(ctx context.Context, key string) error // nothing is stored if it has an error
	afterSave  func(key string) error                      // it was stored all the same
	blind      bool                                        // nobody looks at versions

	mu    sync.Mutex
	rows  map[string]ledger
	loads []string
	saves []string // those that stored something
}

func (d *table) load(ctx context.Context, key string) (*ledger, error) {
	if d.beforeLoad != nil {
		if err := d.beforeLoad(ctx, key); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loads = append(d.loads, key)
	row := d.rows[key]
	return &ledger{done: slices.Clone(row.done), version: row.version}, nil
}

func (d *table) save(ctx context.Context, key string, l *ledger) error {
	if d.beforeSave != nil {
		if err := d.beforeSave(ctx, key); err != nil {
			return err
		}
	}
	if err := d.store(key, l); err != nil {
		return err
	}
	if d.afterSave != nil {
		return d.afterSave(key)
	}
	return nil
}

func (d *table) store(key string, l *ledger) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.blind && d.rows[key].version != l.version {
		return ErrConflict
	}
	l.version++
	if d.rows == nil {
		d.rows = make(map[string]ledger)
	}
	d.rows[key] = ledger{done: slices.Clone(l.done), version: l.version}
	d.saves = append(d.saves, key)
	return nil
}

func (d *table) loadMany(ctx context.Context, keys []string) (values []*ledger, errs []error) {
	for _, key := range keys {
		l, err := d.load(ctx, key)
		values, errs = append(values, l), append(errs, err)
	}
	return values, errs
}

func (d *table) saveMany(ctx context.Context, keys []string, values []*ledger) (errs []error) {
	for i, key := range keys {
		errs = append(errs, d.save(ctx, key, values[i]))
	}
	return errs
}

// write is somebody else's.
func (d *table) write(key string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	row := d.rows[key]
	if d.rows == nil {
		d.rows = make(map[string]ledger)
	}
	d.rows[key] = ledger{done: append(slices.Clone(row.done), n), version: row.version + 1}
}

// stored is what a row holds.
func (d *table) stored(key string) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rows[key].done)
}

// counts is how many loads there were, and how many saves that stored something.
func (d *table) counts() (loads, saves int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.loads), len(d.saves)
}

func (d *table) config() Config[string, *ledger] {
	return Config[string, *ledger]{Load: d.load, Save: d.save}
}

// newProcessor starts a system with one processor, and closes both at the end of the test if the test has not.
func newProcessor[K comparable, R any](t testing.TB, cfg Config[K, R], opts ...penstock.Option) *Processor[K, R] {
	t.Helper()
	p, err := NewProcessor(roomtest.System(t, opts...), "test", cfg)
	require.NoError(t, err)
	return p
}

// bad asks for a processor that cannot be, and returns why.
func bad[K comparable, R any](t testing.TB, name string, cfg Config[K, R]) error {
	t.Helper()
	p, err := NewProcessor(roomtest.System(t), name, cfg)
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.Nil(t, p)
	return err
}

// note is an operation that notes its number.
func note(n int) func(*ledger) { return func(l *ledger) { l.done = append(l.done, n) } }

// noteAnd is one that ends in an error after that.
func noteAnd(n int, err error) func(*ledger) (int, error) {
	return func(l *ledger) (int, error) {
		l.done = append(l.done, n)
		return n, err
	}
}

// start calls Run on a goroutine of its own. The answer may be read once.
func start[K comparable, R any](p *Processor[K, R], key K, op func(R)) chan error {
	return startIn(context.Background(), p, key, op)
}

func startIn[K comparable, R any](ctx context.Context, p *Processor[K, R], key K, op func(R)) chan error {
	answer := make(chan error, 1)
	go func() { answer <- p.Run(ctx, key, op) }()
	return answer
}

// startDo calls Do on a goroutine of its own.
func startDo[K comparable, R, T any](p *Processor[K, R], key K, op func(R) (T, error)) chan error {
	answer := make(chan error, 1)
	go func() {
		_, err := Do(context.Background(), p, key, op)
		answer <- err
	}()
	return answer
}

// must calls Run, and fails the test if that fails.
func must[K comparable, R any](t testing.TB, p *Processor[K, R], key K, op func(R)) {
	t.Helper()
	require.NoError(t, p.Run(context.Background(), key, op))
}

// blocker is a function that returns when it is let go, whatever becomes of its context.
type blocker struct {
	started chan struct{}
	release chan struct{}
}

func newBlocker() *blocker {
	return &blocker{started: make(chan struct{}, 1000), release: make(chan struct{})}
}

func (b *blocker) block() {
	b.started <- struct{}{}
	<-b.release
}

// crash makes a key's actor panic.
func crash[K comparable, R any](p *Processor[K, R], key K) {
	if e, ok := p.family.Lookup(key); ok {
		p.family.Send(e, (*resource[K, R])(nil))
	}
}

// requireNobody fails the test unless nothing is under way. It is for tests in a bubble: a shard is at work for a moment after its
// callers were answered.
func requireNobody[K comparable, R any](t testing.TB, p *Processor[K, R]) {
	t.Helper()
	synctest.Wait()
	i := p.Info()
	require.Zero(t, i.Pending, "operations without an answer")
	require.Zero(t, i.Running, "shards at work")
}

// since is how long ago that was, to the millisecond: a processor's ticks are no finer.
func since(start time.Time) time.Duration { return time.Since(start).Truncate(time.Millisecond) }
