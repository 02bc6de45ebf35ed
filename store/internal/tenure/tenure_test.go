package tenure

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOverlaps(t *testing.T) {
	a := Tenure{Shard: 1, Epoch: 5, Owner: "a", From: 10, Until: 20}
	for _, c := range []struct {
		other Tenure
		wrong bool
	}{
		{Tenure{Shard: 1, Epoch: 6, Owner: "b", From: 20, Until: 30}, false},
		{Tenure{Shard: 1, Epoch: 6, Owner: "b", From: 19, Until: 30}, true},
		{Tenure{Shard: 1, Epoch: 4, Owner: "b", From: 1, Until: 10}, false},
		{Tenure{Shard: 1, Epoch: 4, Owner: "b", From: 1, Until: 11}, true},
		{Tenure{Shard: 1, Epoch: 4, Owner: "b", From: 20, Until: 30}, true}, // the epoch did not grow
		{Tenure{Shard: 1, Epoch: 5, Owner: "b", From: 20, Until: 30}, true},
		{Tenure{Shard: 1, Epoch: 5, Owner: "a", From: 20, Until: 30}, true},
		{Tenure{Shard: 2, Epoch: 5, Owner: "b", From: 10, Until: 20}, false},
	} {
		for _, all := range [][]Tenure{{a, c.other}, {c.other, a}} {
			require.Equal(t, c.wrong, Overlaps(all) != nil, "%v", c.other)
		}
	}
	var r Record
	noted := r.Add(a)
	r.Until(map[int]*Tenure{1: noted}, 15)
	require.Equal(t, 1, r.Len())
	a.Until = 15
	require.Equal(t, []Tenure{a}, r.List())
}
