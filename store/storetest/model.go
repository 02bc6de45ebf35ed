package storetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/actors/stat"
	"github.com/penstock-go/penstock/store"
)

// model flushes at random, some flushes more than once, and compares the table with a map.
func model(t testing.TB, open opener) {
	for _, merge := range []store.Merge{store.Sum, store.Max, store.Last} {
		b := newBench(t, open, merge)
		amount := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
		run := 0
		rapid.Check(t, func(r *rapid.T) {
			run++ // each has keys of its own, so that the tables need not be new
			var done []stat.Flush[string]
			want := make(map[string]int64)
			for range rapid.IntRange(1, 6).Draw(r, "flushes") {
				if len(done) > 0 && rapid.IntRange(0, 3).Draw(r, "again") == 0 {
					require.NoError(r, b.Other.Flush(t.Context(), rapid.SampledFrom(done).Draw(r, "which")))
					continue
				}
				f := stat.Flush[string]{ID: b.id()}
				for k, n := range rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "é"}), amount, 1, 5).Draw(r, "deltas") {
					key := fmt.Sprint(run, " ", k)
					f.Deltas = append(f.Deltas, delta(key, n))
					stored, ok := want[key]
					if want[key] = n; ok {
						want[key] = merge.Of(stored, n)
					}
				}
				require.NoError(r, b.Sink.Flush(t.Context(), f))
				done = append(done, f)
			}
			got := b.counts()
			for k, n := range want {
				stored, ok := got[k]
				require.True(r, ok, "%v: key %q is not there", merge, k)
				require.Equal(r, n, stored, "%v: key %q", merge, k)
			}
		})
	}
}
