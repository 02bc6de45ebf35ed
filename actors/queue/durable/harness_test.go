package durable

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

// newSystem starts a system, and closes it at the end of the test if the test has not.
func newSystem(t testing.TB, opts ...penstock.Option) *penstock.System {
	t.Helper()
	sys, err := penstock.New(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sys.Close(endedCtx()) })
	return sys
}

// newQueue starts a system with one durable queue of a new file.
func newQueue[T any](t testing.TB, cfg Config[T]) *Queue[T] {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "queue")
	}
	q, err := Add(newSystem(t), "test", cfg)
	require.NoError(t, err)
	return q
}

// endedCtx is a context that has ended.
func endedCtx() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// within is a context that ends after d. Its timer ends with the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func enqueue[T any](t testing.TB, q *Queue[T], items ...T) {
	t.Helper()
	for _, x := range items {
		require.NoError(t, q.Enqueue(context.Background(), x))
	}
}

func dequeue[T any](t testing.TB, q *Queue[T], n int) []Delivery[T] {
	t.Helper()
	list, err := q.Dequeue(context.Background(), n)
	require.NoError(t, err)
	return list
}

func values[T any](list []Delivery[T]) (values []T) {
	for _, d := range list {
		values = append(values, d.Value)
	}
	return values
}

func receipts[T any](list []Delivery[T]) (receipts []Receipt) {
	for _, d := range list {
		receipts = append(receipts, d.Receipt)
	}
	return receipts
}
