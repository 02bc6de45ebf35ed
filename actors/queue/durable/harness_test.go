package durable

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/roomtest"
)

// newQueue starts a system with one durable queue of a new file.
func newQueue[T any](t testing.TB, cfg Config[T]) *Queue[T] {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "queue")
	}
	q, err := Add(roomtest.System(t), "test", cfg)
	require.NoError(t, err)
	return q
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
