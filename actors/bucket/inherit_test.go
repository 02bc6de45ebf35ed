package bucket

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/penstock-go/penstock/cluster"
)

// TestHeritage holds what is assumed against what was served, by whom it was: nobody else's turn may come after what is assumed.
func TestHeritage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHeritage("me")
		now, epoch := t0, int64(0)
		var last time.Time     // when somebody else served it last
		var from cluster.Owner // who served it last
		var known descent      // what was last told of it
		var trusted, ok bool   // whether what is here of the epoch before may be trusted
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(1, 100).Draw(t, "pause")))
			epoch += rapid.Int64Range(1, 3).Draw(t, "epoch")
			if rapid.Bool().Draw(t, "other") {
				from, last = cluster.Owner{Name: "other", Epoch: epoch}, now
				continue
			}
			said := cluster.Owner{}
			if rapid.Bool().Draw(t, "proven") {
				said = from
			}
			before := known
			h.gained(now, cluster.Gain{Shard: 1, Epoch: epoch, From: said})
			known, ok = h.descent(1, epoch)
			require.True(t, ok)
			trusted = before.epoch != 0 && before.epoch >= known.root
			require.False(t, known.assumed.Before(last), "somebody served it after that")
			if trusted {
				require.Equal(t, from, cluster.Owner{Name: "me", Epoch: before.epoch})
			}
			if rapid.Bool().Draw(t, "late") { // what is told late changes nothing
				h.gained(now.Add(time.Hour), cluster.Gain{Shard: 1, Epoch: rapid.Int64Range(1, epoch).Draw(t, "old")})
			}
			from = cluster.Owner{Name: "me", Epoch: epoch}
		}
		_, ok = h.descent(1, epoch+1)
		require.False(t, ok)
	})
}
