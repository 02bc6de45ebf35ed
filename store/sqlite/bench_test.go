package sqlite

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/actors/stat"
)

// BenchmarkFlush writes 100,000 keys in flushes of a size; an operation is all of them. The first round inserts, the
// others update.
func BenchmarkFlush(b *testing.B) {
	const keys = 100_000
	for _, size := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := openNew(b)
			require.NoError(b, CreateTables(b.Context(), db, views))
			s := newSink(b, db, views)
			deltas := make([]stat.Delta[string], keys)
			for i := range deltas {
				deltas[i] = stat.Delta[string]{Key: fmt.Sprintf("page/%d", i*7919%keys), N: int64(i)}
			}
			n := 0
			for b.Loop() {
				for at := 0; at < keys; at += size {
					n++
					require.NoError(b, s.Flush(b.Context(), stat.Flush[string]{ID: fmt.Sprint(n), Deltas: deltas[at : at+size]}))
				}
			}
		})
	}
}

// BenchmarkFlushOne is a flush of one count: what the transaction costs.
func BenchmarkFlushOne(b *testing.B) {
	db := openNew(b)
	require.NoError(b, CreateTables(b.Context(), db, views))
	s := newSink(b, db, views)
	n := 0
	for b.Loop() {
		n++
		require.NoError(b, s.Flush(b.Context(), flushOf(fmt.Sprint(n), "a", 1)))
	}
}
